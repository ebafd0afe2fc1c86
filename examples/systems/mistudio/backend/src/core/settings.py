"""What the environment says. A missing variable ends the program with its name, never with a value."""

import os
import sys

from sqlalchemy.engine import URL, make_url


def database_url() -> URL:
    """DATABASE_URL for SQLAlchemy with asyncpg. Its text form hides the password."""
    return make_url(required("DATABASE_URL")).set(drivername="postgresql+asyncpg")


def required(name: str) -> str:
    return os.environ.get(name) or sys.exit(f"{name}: expected a value, got nothing. Fix: export {name}='...'")
