"""What the API, the worker and its check share: tasks, the queue that they wait in, and who polls it, all in Redis."""

import os
import sys
import time
import uuid

import redis

HEARTBEAT_SECONDS = 5
"""A poller whose last sign of life is older does not poll, whatever its process looks like."""
STALE_SECONDS = 15


def client() -> redis.Redis:
    return redis.Redis.from_url(setting("REDIS_URL", secret=True), decode_responses=True, socket_connect_timeout=2)


def setting(name: str, *, secret: bool = False) -> str:
    value = os.environ.get(name)
    if value:
        return value
    example = "redis://:percent-encoded-password@host:port/0" if secret else "a value"
    sys.exit(f"{name}: expected {example}, got nothing. Fix: set it in the service's `env`")


def put(broker: redis.Redis, queue: str, kind: str, arguments: str) -> str:
    task = uuid.uuid4().hex
    with broker.pipeline() as together:
        together.hset(key(task), mapping={"state": "queued", "kind": kind, "arguments": arguments})
        together.rpush(f"queue:{queue}", task)
        together.execute()
    return task


def key(task: str) -> str:
    return f"task:{task}"


def pollers(queue: str) -> str:
    """A hash: identity of the poller → Unix seconds of its last sign of life."""
    return f"pollers:{queue}"


def ages(broker: redis.Redis) -> dict[str, dict[str, float]]:
    """Queue → poller → seconds since its last sign of life."""
    now = time.time()
    names = sorted(broker.scan_iter(pollers("*")))
    return {
        name.removeprefix(pollers("")): {who: now - float(at) for who, at in broker.hgetall(name).items()}
        for name in names
    }
