"""Runs the migrations over the app's own engine."""

import asyncio

from alembic import context
from sqlalchemy.engine import Connection

from src.core.database import Base, engine


def migrate(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata)
    with context.begin_transaction():
        context.run_migrations()


async def main() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()


asyncio.run(main())
