"""The API. Server: uvicorn app.main:app --port PORT"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal

import httpx
import redis
from fastapi import FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from sqlalchemy.exc import OperationalError

from app import health, questions, settings
from app.db import engine
from app.tasks import answer_question


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character, which Postgres cannot store")
    return text


class Ask(BaseModel):
    model_config = ConfigDict(strict=True)

    text: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), AfterValidator(_without_nul)
    ]


class Asked(BaseModel):
    id: int


class QuestionView(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    text: str
    status: Literal["queued", "answering", "answered", "failed"]
    answer: str | None
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with httpx.AsyncClient(base_url=settings.llm_url(), trust_env=False) as app.state.llm:
        yield
    engine.dispose()


# No documentation pages: they load their scripts from elsewhere.
app = FastAPI(title="questions", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json")


@app.post("/api/questions", status_code=202)
def ask(question: Ask) -> Asked:
    question_id = questions.add(question.text)
    try:
        answer_question.send(question_id)
    except redis.RedisError:
        questions.fail(question_id, "the queue cannot be reached")
        raise HTTPException(503, "the queue cannot be reached, ask again later") from None
    return Asked(id=question_id)


@app.get("/api/questions")
def latest(limit: Annotated[int, Query(ge=1, le=100)] = 20) -> list[QuestionView]:
    return [QuestionView.model_validate(question) for question in questions.latest(limit)]


@app.get("/api/questions/{question_id}")
def show(question_id: Annotated[int, Path(ge=-(2**63), lt=2**63)]) -> QuestionView:
    question = questions.find(question_id)
    if question is None:
        raise HTTPException(404, f"there is no question {question_id}")
    return QuestionView.model_validate(question)


@app.get("/health", include_in_schema=False)
@app.get("/api/health")
async def show_health(request: Request, response: Response) -> health.Health:
    found = await health.look(request.app.state.llm)
    response.status_code = 200 if found.status == "ok" else 503
    return found


@app.exception_handler(OperationalError)
async def database_is_away(request: Request, error: OperationalError) -> JSONResponse:
    return JSONResponse({"detail": "the database cannot be reached, ask again later"}, 503)


# FastAPI's own handler repeats the input, and fails where that is no valid JSON (NaN, half a surrogate pair).
@app.exception_handler(RequestValidationError)
async def input_is_wrong(request: Request, error: RequestValidationError) -> JSONResponse:
    problems = [{"loc": list(one["loc"]), "msg": one["msg"], "type": one["type"]} for one in error.errors()]
    return JSONResponse({"detail": problems}, 422)
