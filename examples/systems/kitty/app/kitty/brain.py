"""The conversation router: a question goes to the model for tool calls, and leaves a row in the audit table."""

import math
import time
from typing import Annotated

import httpx
import psycopg
from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, Field

from kitty import settings

ANSWER_WITHIN_S = 120
MAX_TOKENS = 32

router = APIRouter()


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("must not contain a NUL character, which Postgres cannot store")
    return text


Text = Annotated[str, Field(min_length=1, max_length=4000), AfterValidator(_without_nul)]


class Query(BaseModel):
    query: Text
    userId: Text


class Answer(BaseModel):
    response: str
    tier: str
    model: str
    confidence: float
    latency_ms: int


class NoRoute(BaseModel):
    """OFFLINE_MODE or not: this stand-in knows no provider in a cloud."""

    error: str = "No route found"
    tier: None = None
    confidence: float = 0.0


@router.post("/api/query")
async def query(asked: Query, response: Response) -> Answer | NoRoute:
    started = time.monotonic()
    try:
        text, model, confidence = await _ask(asked.query)
    except (httpx.HTTPError, KeyError, IndexError, ValueError):
        await _audit(asked, None, None, 0.0, _milliseconds_since(started))
        response.status_code = 503
        return NoRoute()
    latency_ms = _milliseconds_since(started)
    await _audit(asked, text, model, confidence, latency_ms)
    return Answer(response=text, tier="local", model=model, confidence=confidence, latency_ms=latency_ms)


async def _ask(text: str) -> tuple[str, str, float]:
    """The answer, who gave it, and the geometric mean of its tokens' probabilities."""
    request = {
        "messages": [{"role": "user", "content": text}],
        "max_tokens": MAX_TOKENS,
        "temperature": 0,
        "logprobs": True,
    }
    # trust_env=False: a proxy set for the outside world has no business between us and the model server.
    timeout = httpx.Timeout(ANSWER_WITHIN_S, connect=2)
    async with httpx.AsyncClient(base_url=settings.required("LLAMACPP_Q4_HOST"), timeout=timeout, trust_env=False) as q4:
        answer = (await q4.post("/v1/chat/completions", json=request)).raise_for_status().json()
    choice = answer["choices"][0]
    logs = [token["logprob"] for token in choice["logprobs"]["content"]]
    confidence = math.exp(sum(logs) / len(logs)) if logs else 0.0
    return str(choice["message"]["content"]).strip(), str(answer["model"]), round(confidence, 3)


def _milliseconds_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


async def _audit(asked: Query, answer: str | None, model: str | None, confidence: float, latency_ms: int) -> None:
    row = (asked.userId, asked.query, answer, None if answer is None else "local", model, confidence, latency_ms)
    async with await psycopg.AsyncConnection.connect(settings.required("DATABASE_URL"), connect_timeout=5) as database:
        await database.execute(
            "insert into audit (user_id, query, response, tier, model, confidence, latency_ms)"
            " values (%s, %s, %s, %s, %s, %s, %s)",
            row,
        )
