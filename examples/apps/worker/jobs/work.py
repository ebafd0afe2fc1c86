"""The one piece of work that every worker here does, and the trace that it leaves in Redis."""

import os
import sys
import time

import redis

TRACE = "jobs:trace"


def broker_url(name: str) -> str:
    """Secret. Without it a worker would take the Redis on port 6379, whosever that is."""
    url = os.environ.get(name)
    if not url:
        sys.exit(f"{name}: expected redis://:percent-encoded-password@host:port/0, got nothing. Fix: export {name}='...'")
    return url


def take(client: redis.Redis, name: str, seconds: float) -> str:
    """Takes its time. `name begin` and `name end` in the trace tell whether it came to its end."""
    client.rpush(TRACE, f"{name} begin")
    time.sleep(seconds)
    client.rpush(TRACE, f"{name} end")
    return f"{name}: {seconds} s"
