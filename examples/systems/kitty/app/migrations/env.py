"""Runs the migrations on DATABASE_URL."""

import psycopg
from alembic import context
from sqlalchemy import create_engine

from kitty import settings

# psycopg itself reads the URL, in which a password may have percent signs.
engine = create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(settings.required("DATABASE_URL")))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
