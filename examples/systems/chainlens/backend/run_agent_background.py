"""The AI job: `dramatiq --processes 1 --threads 1 run_agent_background --verbose` takes it from the queue."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

import dramatiq
import messages
from dramatiq.brokers.redis import RedisBroker
from redis import Redis
from settings import REDIS

log = logging.getLogger("run_agent_background")
redis = Redis(**REDIS, decode_responses=True)
dramatiq.set_broker(RedisBroker(**REDIS))


def run_key(run_id: str) -> str:
    return f"chainlens:run:{run_id}"


@dramatiq.actor(max_retries=0)
def run_agent(run_id: str, thread_id: str) -> None:
    message = messages.newest(thread_id)
    # A thread that has its answer gets no second one: a job may be delivered again.
    if message is None or message["type"] == "assistant":
        redis.hset(run_key(run_id), "state", "skipped")
        return
    redis.hset(run_key(run_id), "state", "running")
    try:
        answer = asyncio.run(collect(message["text"]))
    except Exception:
        redis.hset(run_key(run_id), "state", "failed")
        raise
    messages.add(thread_id, "assistant", answer)
    redis.hset(run_key(run_id), mapping={"state": "done", "answer": answer})


async def collect(text: str) -> str:
    """Closes the generator in every case, so that none is left to the garbage collector."""
    pieces = []
    async with aclosing(answer_pieces(text)) as answer:
        async for piece in answer:
            pieces.append(piece)
    return "".join(pieces)


async def answer_pieces(text: str) -> AsyncGenerator[str, None]:
    """Stands in for the agent and its model. `fail` breaks off in mid-answer, `slow:N` takes N seconds."""
    redis.incr("chainlens:ai_calls")
    try:
        yield "You said: "
        if text == "fail":
            raise RuntimeError("the model broke off")
        if text.startswith("slow:"):
            await asyncio.sleep(float(text.removeprefix("slow:")))
        yield text
    finally:
        log.debug("the generator was closed properly")
