"""What can happen to a question. Each step is one transaction and leaves a final status alone."""

from typing import NamedTuple

from sqlalchemy import select, update

from app.db import Question, Session
from app.llm import Reply

OPEN = ("queued", "answering")


class Claim(NamedTuple):
    text: str
    attempts: int


def add(text: str) -> int:
    with Session.begin() as session:
        question = Question(text=text)
        session.add(question)
        session.flush()
        return question.id


def find(question_id: int) -> Question | None:
    with Session() as session:
        return session.get(Question, question_id)


def latest(limit: int) -> list[Question]:
    with Session() as session:
        return list(session.scalars(select(Question).order_by(Question.id.desc()).limit(limit)))


def claim(question_id: int) -> Claim | None:
    """Take an open question, also one whose worker died while answering; None if there is nothing to do."""
    with Session.begin() as session:
        row = session.execute(
            update(Question)
            .where(Question.id == question_id, Question.status.in_(OPEN))
            .values(status="answering", attempts=Question.attempts + 1)
            .returning(Question.text, Question.attempts)
        ).one_or_none()
    return Claim(*row) if row else None


def release(question_id: int) -> None:
    """Back into the queue, until the next attempt."""
    _move(question_id, status="queued")


def finish(question_id: int, reply: Reply) -> None:
    _move(
        question_id,
        status="answered",
        answer=reply.text,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=reply.seconds,
    )


def fail(question_id: int, reason: str) -> None:
    _move(question_id, status="failed", answer=reason)


def _move(question_id: int, **values: object) -> None:
    with Session.begin() as session:
        session.execute(update(Question).where(Question.id == question_id, Question.status.in_(OPEN)).values(**values))
