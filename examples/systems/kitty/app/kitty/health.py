"""Is everything that this service depends on within reach right now? All are asked at once, each for two seconds."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Literal

import httpx
import psycopg
import redis.asyncio
from pydantic import BaseModel
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from kitty import bus

VERSION = "1.0.0"
LIMIT_S = 2.0
_STARTED = time.monotonic()


class Health(BaseModel):
    status: Literal["healthy", "unhealthy"]
    service: str
    version: str
    dependencies: dict[str, Literal["connected", "unreachable"]]
    uptime_seconds: float
    error: str | None = None


def uptime_seconds() -> float:
    return round(time.monotonic() - _STARTED, 1)


async def look(service: str) -> Health:
    wanted = {name: ask(url) for variable, (name, ask) in PROBES.items() if (url := os.environ.get(variable))}
    if service == "voice":
        wanted["mosquitto"] = _announced(os.environ.get("MQTT_URL", ""), service)
    connected = await asyncio.gather(*map(_within_limit, wanted.values()))
    found = dict(zip(wanted, connected, strict=True))
    away = [name for name, is_connected in found.items() if not is_connected]
    return Health(
        status="unhealthy" if away else "healthy",
        service=service,
        version=VERSION,
        dependencies={name: "connected" if is_connected else "unreachable" for name, is_connected in found.items()},
        uptime_seconds=uptime_seconds(),
        error=f"unreachable: {', '.join(away)}" if away else None,
    )


async def _within_limit(answer: Awaitable[None]) -> bool:
    try:
        # The task is left behind and not awaited: a server that hangs would hold us too.
        done, _ = await asyncio.wait({task := asyncio.ensure_future(answer)}, timeout=LIMIT_S)
        return task in done and task.exception() is None
    finally:
        task.cancel()


async def _ping(url: str) -> None:
    async with redis.asyncio.Redis.from_url(url, retry=Retry(NoBackoff(), 0)) as client:
        await client.ping()


async def _select_one(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("select 1")


async def _logs_in(url: str) -> None:
    async with bus.client(url):
        pass


async def _announced(url: str, service: str) -> None:
    if not await bus.is_seen(url, service):
        raise ConnectionError(f"the bus does not have {service} as online")


async def _answers(url: str) -> None:
    """Whatever it says: its own state is its own /health's business."""
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.get(url)


async def _serves(url: str) -> None:
    """A model server that is loading answers 503."""
    async with httpx.AsyncClient(trust_env=False) as client:
        (await client.get(f"{url}/health")).raise_for_status()


# The variable that a dependency's address comes in: its name, and how it is asked.
PROBES: dict[str, tuple[str, Callable[[str], Awaitable[None]]]] = {
    "REDIS_URL": ("redis", _ping),
    "DATABASE_URL": ("postgres", _select_one),
    "LLAMACPP_Q4_HOST": ("llama_cpp_q4", _serves),
    "LLAMACPP_F16_HOST": ("llama_cpp_f16", _serves),
    "MQTT_URL": ("mosquitto", _logs_in),
    "MINIO_URL": ("minio", _answers),
    "BRAIN_URL": ("brain", _answers),
}
