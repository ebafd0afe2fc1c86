"""The one table, and the engine that reaches it. Nothing connects before the first query."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, DateTime, Identity, Text, create_engine, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

from app import settings

# pool_pre_ping: a connection that died with a restarted database is replaced, not handed out.
# hide_parameters: what people ask does not belong in error texts.
engine = create_engine(
    settings.database_url(), pool_pre_ping=True, hide_parameters=True, connect_args={"connect_timeout": 5}
)
Session = sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    type_annotation_map = {str: Text, datetime: DateTime(timezone=True)}


class Question(Base):
    __tablename__ = "questions"
    __table_args__ = (CheckConstraint("status in ('queued', 'answering', 'answered', 'failed')", name="known_status"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    text: Mapped[str]
    status: Mapped[str] = mapped_column(default="queued")
    answer: Mapped[str | None]  # for a failed question: the reason
    prompt_tokens: Mapped[int | None]
    completion_tokens: Mapped[int | None]
    seconds: Mapped[float | None]
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
