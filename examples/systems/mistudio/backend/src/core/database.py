"""The one table, and the engine that reaches it. Nothing connects before the first query."""

from sqlalchemy import BigInteger, Identity, Text
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from src.core import settings

# pool_pre_ping: a connection that died with a restarted database is replaced, not handed out.
engine = create_async_engine(settings.database_url(), pool_pre_ping=True)
Session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    type_annotation_map = {str: Text}


class Dataset(Base):
    __tablename__ = "datasets"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    name: Mapped[str]
