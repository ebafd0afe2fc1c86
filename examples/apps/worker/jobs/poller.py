"""A worker of no framework: it polls a queue and registers there, as Temporal's pollers do.

Worker: python -m jobs.poller QUEUE; whether one polls: python -m jobs.poller QUEUE --check
"""

import json
import os
import signal
import socket
import sys
import time

import redis

from jobs import work

HEARTBEAT_SECONDS = 15


def main() -> None:
    queue, *rest = sys.argv[1:]
    client = redis.Redis.from_url(work.broker_url("REDIS_URL"), decode_responses=True)
    if rest == ["--check"]:
        check(client, queue)
    else:
        poll(client, queue)


def pollers(queue: str) -> str:
    """A hash: identity of the poller → Unix seconds of its last sign of life."""
    return f"pollers:{queue}"


def poll(client: redis.Redis, queue: str) -> None:
    suffix = queue.partition("@")[2]
    identity = f"{socket.gethostname()}-{os.getpid()}" + (f"@{suffix}" if suffix else "")
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    while not stopping:
        client.hset(pollers(queue), identity, str(time.time()))
        # TERM while it waits for a task is seen after a second, TERM while one runs when that is done.
        task = client.blpop([f"queue:{queue}"], timeout=1)
        if task:
            work.take(client, **json.loads(task[1]))
    client.hdel(pollers(queue), identity)


def check(client: redis.Redis, queue: str) -> None:
    fresh = [name for name, at in client.hgetall(pollers(queue)).items() if time.time() - float(at) < HEARTBEAT_SECONDS]
    print(f"{queue}: {', '.join(fresh) or 'nobody polls'}")
    sys.exit(0 if fresh else 1)


if __name__ == "__main__":
    main()
