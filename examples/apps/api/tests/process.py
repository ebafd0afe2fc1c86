"""One process of a test: started, waited for, and ended by its own PID."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Postgres refuses to run as root, so root starts the servers as nobody.
AS_NOBODY: dict[str, Any] = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}


@dataclass(frozen=True)
class Running:
    popen: subprocess.Popen[str]
    log_file: Path

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL after 20 s."""
        self.popen.terminate()
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to it and to what it started: its session is its own."""
        os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


@contextmanager
def running(
    argv: Sequence[str | Path], home: Path, is_ready: Callable[[Running], bool], stdin: str = "", **options: Any
) -> Iterator[Running]:
    """A process that is ready. Its output goes to a file in `home`, which is also where it runs by default."""
    log_file = Path(tempfile.mkstemp(dir=home, prefix=f"{Path(argv[0]).name}-", suffix=".log")[1])
    options = {"cwd": home, "start_new_session": True} | options
    with log_file.open("w") as output:
        popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=output, stderr=output, text=True, **options)
    process = Running(popen, log_file)
    try:
        assert popen.stdin
        with popen.stdin:
            popen.stdin.write(stdin)
        wait_until(lambda: _has_ended(process) or is_ready(process), within_s=60, what=f"{argv[0]} is ready")
        assert popen.poll() is None, f"{argv[0]} ended with {popen.returncode}:\n{process.log[-2000:]}"
        yield process
    finally:
        process.stop()


def _has_ended(process: Running) -> bool:
    return process.popen.poll() is not None


def wait_until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"expected within {within_s} s: {what}"
        time.sleep(0.05)


@contextmanager
def directory() -> Iterator[Path]:
    """A new directory for a server run as nobody; pytest's own are closed to it."""
    path = Path(tempfile.mkdtemp(prefix="questions-"))
    if AS_NOBODY:
        shutil.chown(path, "nobody", "nogroup")
    try:
        yield path
    finally:
        shutil.rmtree(path)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
