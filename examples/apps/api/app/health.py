"""Does each dependency do its work right now? All are asked at once, each for at most two seconds."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import httpx
import psycopg
import redis.asyncio
from pydantic import BaseModel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app import settings

LIMIT_S = 2.0
# asyncio itself keeps only weak references to tasks
_abandoned: set[asyncio.Task[None]] = set()


class Dependency(BaseModel):
    status: Literal["ok", "down"]
    latency_ms: float
    reason: str | None = None


class Health(BaseModel):
    status: Literal["ok", "down"]
    dependencies: dict[str, Dependency]


async def look(http: httpx.AsyncClient) -> Health:
    checks = {"db": _select_one, "broker": _ping, "chat": lambda: _model_is_listed(http)}
    found = dict(zip(checks, await asyncio.gather(*map(_measure, checks.values())), strict=True))
    return Health(status="ok" if all(one.status == "ok" for one in found.values()) else "down", dependencies=found)


async def _measure(check: Callable[[], Awaitable[None]]) -> Dependency:
    started = time.perf_counter()
    reason = await _bounded(check)
    latency_ms = round((time.perf_counter() - started) * 1000, 1)
    return Dependency(status="down" if reason else "ok", latency_ms=latency_ms, reason=reason)


async def _bounded(check: Callable[[], Awaitable[None]]) -> str | None:
    """Why the check failed, or None. Texts of errors stay here: they name hosts, users and paths."""
    task = asyncio.ensure_future(check())
    done, _ = await asyncio.wait({task}, timeout=LIMIT_S)
    if not done:
        # Not awaited: a cancelled query asks the server to stop, and a server that hangs would hold us too.
        _abandoned.add(task)
        task.add_done_callback(_forget)
        task.cancel()
        return f"no answer within {LIMIT_S:g} s"
    error = task.exception()
    return str(error) if isinstance(error, NotReady) else type(error).__name__ if error else None


def _forget(task: asyncio.Task[None]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # read once, so that asyncio does not log it


class NotReady(Exception):
    """The dependency answered, but cannot do its work. The text is ours and safe to show."""


async def _select_one() -> None:
    url = settings.database_url()
    names = url.translate_connect_args(username="user", database="dbname") | dict(url.query)
    # A connection of its own: the pool may be busy, and that is not the database's state.
    async with await psycopg.AsyncConnection.connect(**names) as connection:
        await connection.execute("select 1")


async def _ping() -> None:
    async with redis.asyncio.Redis.from_url(settings.redis_url(), retry=Retry(NoBackoff(), 0)) as client:
        await client.ping()


async def _model_is_listed(http: httpx.AsyncClient) -> None:
    health, models = await asyncio.gather(http.get("/health"), http.get("/v1/models", headers=settings.llm_headers()))
    if health.status_code != 200 or models.status_code != 200:
        raise NotReady(f"/health answered {health.status_code}, /v1/models {models.status_code}")
    listed = [model["id"] for model in models.json()["data"]]
    if not listed or (settings.llm_model() or listed[0]) not in listed:
        raise NotReady("the model is not listed")
