"""Watches frontend, backend, worker and Redis: every 30 s a line in monitoring.log and a row in metrics.log.

`monitor.py --check` ends with 0 while the last row is younger than a minute.
"""

import csv
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

from redis import Redis, RedisError

EVERY_SECONDS = 30
STALE_SECONDS = 60
ANSWER_SECONDS = 5
WARNING_MB = 500
WARNING_PROCESSES, ALERT_PROCESSES = 4, 6
ROTATE_BYTES, KEPT = 10_000_000, 3

LOGS = Path(os.environ["LOG_DIR"])
SERVICES = ("frontend", "backend", "worker", "redis")
COLUMNS = [
    "timestamp",
    *(f"{name}_status" for name in SERVICES),
    *(f"{name}_mem_mb" for name in SERVICES),
    "dramatiq_processes",
]

redis = Redis(
    host=os.environ["REDIS_HOST"],
    port=int(os.environ["REDIS_PORT"]),
    password=os.environ.get("REDIS_PASSWORD") or None,
    decode_responses=True,
    socket_timeout=ANSWER_SECONDS,
    socket_connect_timeout=ANSWER_SECONDS,
)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def append(path: Path, line: str, header: str = "") -> None:
    """A line more; a file that is full gets the next number, and the oldest goes."""
    if path.exists() and path.stat().st_size > ROTATE_BYTES:
        for number in range(KEPT - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number + 1}"))
        path.replace(path.with_name(f"{path.name}.1"))
    with path.open("a", encoding="utf-8") as file:
        file.write((header if file.tell() == 0 else "") + line + "\n")


def say(level: str, service: str, text: str) -> None:
    line = f"{now()} {level} {service} {text}"
    append(LOGS / "monitoring.log", line)
    print(line, flush=True)


def ask(url: str) -> str | None:
    """What is wrong with it, if anything."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS):
            return None
    except urllib.error.HTTPError as error:
        return f"answered {error.code}"
    except TimeoutError:
        return f"hung: no answer within {ANSWER_SECONDS} s"
    except OSError as error:
        hung = isinstance(getattr(error, "reason", None), TimeoutError)
        return f"hung: no answer within {ANSWER_SECONDS} s" if hung else f"down: {getattr(error, 'reason', error)}"


def ask_redis() -> str | None:
    try:
        return None if redis.ping() else "no PONG"
    except RedisError as error:
        return f"down: {error}"


def ask_worker() -> str | None:
    """Dramatiq writes the time of each worker's last fetch, in milliseconds."""
    try:
        beats = [score for _, score in redis.zrange("dramatiq:__heartbeats__", 0, -1, withscores=True)]
    except RedisError as error:
        return f"not seen: {error}"
    age = time.time() - max(beats, default=0) / 1000
    return None if age < EVERY_SECONDS else "no fresh heartbeat in Redis"


def processes() -> list[tuple[int, str, str, float]]:
    """PID, service of this stack or nothing, command line, MB; of others' processes only what all may see."""
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            argv = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except (OSError, IndexError):
            continue
        found.append((pid, service_of(pid), argv, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))
    return found


def service_of(pid: int) -> str:
    try:
        env = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    if f"ENGINEROOM_STACK={os.environ['ENGINEROOM_STACK']}" not in env:
        return ""
    return next((one.partition("=")[2] for one in env if one.startswith("ENGINEROOM_SERVICE=")), "")


def record() -> None:
    wrong = {
        "frontend": ask(os.environ["FRONTEND_URL"]),
        "backend": ask(f"{os.environ['BACKEND_URL']}/health"),
        "worker": ask_worker(),
        "redis": ask_redis(),
    }
    seen = processes()
    memory = {name: sum(mb for _, service, _, mb in seen if service == name) for name in SERVICES}
    # Redis overwrites its own environment.
    memory["redis"] = 0 if wrong["redis"] else redis.info("memory")["used_memory_rss"] / 1e6
    own = [pid for pid, service, _, _ in seen if service == "worker"]
    foreign = [pid for pid, service, argv, _ in seen if not service and "run_agent_background" in argv.split()]
    count = len(own) + len(foreign)

    states = ["unhealthy" if wrong[name] else "healthy" for name in SERVICES]
    row = [now(), *states, *(f"{memory[name]:.1f}" for name in SERVICES), count]
    append(LOGS / "metrics.log", ",".join(map(str, row)), ",".join(COLUMNS) + "\n")

    for name in SERVICES:
        if wrong[name]:
            say("WARNING", name, wrong[name])
        if memory[name] > WARNING_MB:
            say("WARNING", name, f"{memory[name]:.0f} MB, more than {WARNING_MB}")
    if count >= WARNING_PROCESSES:
        level = "ALERT" if count >= ALERT_PROCESSES else "WARNING"
        say(level, "worker", f"{count} Dramatiq processes: own {own}, foreign {foreign}")
    if not any(wrong.values()) and count < WARNING_PROCESSES:
        say("INFO", "all", f"healthy, {count} Dramatiq processes")


def check() -> bool:
    """Whether it is at work."""
    try:
        with (LOGS / "metrics.log").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        age = datetime.now(UTC) - datetime.fromisoformat(rows[-1]["timestamp"])
    except (OSError, IndexError, ValueError) as error:
        print(f"no record yet: {error}")
        return False
    print(f"last record {age.total_seconds():.0f} s ago")
    return age.total_seconds() < STALE_SECONDS


def main() -> None:
    LOGS.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    say("STATUS", "monitor", f"started, PID {os.getpid()}")
    try:
        while True:
            started = time.monotonic()
            record()
            time.sleep(max(0.0, EVERY_SECONDS - (time.monotonic() - started)))
    finally:
        say("STATUS", "monitor", "stopped")


if __name__ == "__main__":
    sys.exit(0 if check() else 1) if "--check" in sys.argv else main()
