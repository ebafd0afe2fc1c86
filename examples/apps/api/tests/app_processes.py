"""The app's own processes, as a stack starts them."""

import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
from process import Running, free_port, running

APP = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
Env = Mapping[str, str]


@contextmanager
def api(env: Env, home: Path) -> Iterator[tuple[Running, httpx.Client]]:
    """The API and a client for it. Ready means that it listens, not that its dependencies are up."""
    port = free_port()
    argv: list[str | Path] = [BIN / "uvicorn", "app.main:app", "--port", str(port)]
    with running(argv, home, lambda _: _listens(port), cwd=APP, env=env) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10, trust_env=False) as client:
            yield process, client


@contextmanager
def worker(env: Env, home: Path) -> Iterator[Running]:
    argv: list[str | Path] = [BIN / "dramatiq", "app.tasks", "--processes", "1", "--threads", "1"]
    with running(argv, home, lambda one: "ready for action" in one.log, cwd=APP, env=env) as process:
        yield process


def alembic(env: Env, *arguments: str) -> subprocess.CompletedProcess[str]:
    return _run(env, BIN / "alembic", *arguments)


def python(env: Env, code: str) -> subprocess.CompletedProcess[str]:
    return _run(env, sys.executable, "-c", code)


def enqueue(env: Env, question_id: int) -> None:
    """Put an id into the queue again, as a broker that redelivers does."""
    python(env, f"from app.tasks import answer_question; answer_question.send({question_id})").check_returncode()


def _run(env: Env, *argv: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, check=False, cwd=APP, env=env, capture_output=True, text=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
