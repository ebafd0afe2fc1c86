"""The GPU worker. python -m src.backend.worker QUEUE polls; with --check it tells whether a worker of this host does."""

import json
import os
import signal
import socket
import sys
import threading
import time

import redis

from src import queue
from src.backend.activities import ACTIVITIES, device


def main() -> None:
    match sys.argv[1:]:
        case ["--check", name]:
            sys.exit(check(queue.client(), name))
        case [name]:
            Worker(queue.client(), name).run()
        case _:
            sys.exit("usage: python -m src.backend.worker [--check] QUEUE")


class Worker:
    def __init__(self, broker: redis.Redis, name: str) -> None:
        suffix = name.partition("@")[2]
        self.broker, self.name = broker, name
        self.identity = f"{socket.gethostname()}-{os.getpid()}" + (f"@{suffix}" if suffix else "")
        self.stopping = threading.Event()

    def run(self) -> None:
        # A task that runs comes to its end; only then is the signal heeded.
        signal.signal(signal.SIGTERM, lambda *_: self.stopping.set())
        print(f"{self.identity} polls {self.name} on {device()[0]}: {device()[1]}", flush=True)
        threading.Thread(target=self._live, daemon=True).start()
        while not self.stopping.is_set():
            self._poll()
        self.broker.hdel(queue.pollers(self.name), self.identity)

    def _live(self) -> None:
        """Signs of life, also while a task runs."""
        while not self.stopping.is_set():
            try:
                self.broker.hset(queue.pollers(self.name), self.identity, str(time.time()))
            except redis.RedisError as error:
                print(f"no heartbeat: {type(error).__name__}", flush=True)
            self.stopping.wait(queue.HEARTBEAT_SECONDS)

    def _poll(self) -> None:
        try:
            found = self.broker.blpop([f"queue:{self.name}"], timeout=1)
        except redis.RedisError as error:
            print(f"no broker: {type(error).__name__}", flush=True)
            self.stopping.wait(1)
            return
        if found:
            self._do(found[1])

    def _do(self, task: str) -> None:
        at = queue.key(task)
        kind, arguments = self.broker.hmget(at, "kind", "arguments")
        self.broker.hset(at, mapping={"state": "running", "worker": self.identity, "device": device()[0]})
        try:
            outcome = {"state": "done", "result": ACTIVITIES[kind](json.loads(arguments))}
        except Exception as error:  # whatever it is, the next task is another one
            outcome = {"state": "failed", "reason": f"{type(error).__name__}: {error}"}
        self.broker.hset(at, mapping=outcome)
        print(f"task {task}: {kind} {outcome['state']}", flush=True)


def check(broker: redis.Redis, wanted: str) -> int:
    """Of pollers of this host: another host's says nothing of this service."""
    here = f"{socket.gethostname()}-"
    found = {
        name: {who: age for who, age in ages.items() if who.startswith(here)}
        for name, ages in queue.ages(broker).items()
    }
    fresh = {name: [who for who, age in ages.items() if age < queue.STALE_SECONDS] for name, ages in found.items()}
    elsewhere = [name for name, who in fresh.items() if who and name != wanted]
    stale = [age for age in found.get(wanted, {}).values() if age >= queue.STALE_SECONDS]
    if fresh.get(wanted):
        print(f"{', '.join(fresh[wanted])} polls {wanted}")
        return 0
    if elsewhere:
        print(f"registered on {', '.join(elsewhere)}, expected {wanted}")
    elif stale:
        print(f"registered on {wanted}, but not polling: last sign of life {min(stale):.0f} s ago")
    else:
        print(f"nobody of this host is registered on {wanted}")
    return 1


if __name__ == "__main__":
    main()
