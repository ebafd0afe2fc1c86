"""The real servers around the app."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import redis
from process import AS_NOBODY, Running, directory, running


@contextmanager
def postgres(bin_dir: Path, password: str, port: int) -> Iterator[Running]:
    with directory() as home:
        _initdb(bin_dir, password, home)
        argv: list[str | Path] = [
            bin_dir / "postgres",
            "-D",
            home / "data",
            "-p",
            str(port),
            "-k",
            "",
            "-c",
            "fsync=off",
        ]
        with running(argv, home, lambda _: _accepts(port, password), **AS_NOBODY) as process:
            yield process


def _initdb(bin_dir: Path, password: str, home: Path) -> None:
    password_file = home / "password"
    password_file.write_text(f"{password}\n")
    password_file.chmod(0o644)
    argv: list[str | Path] = [
        bin_dir / "initdb",
        "-D",
        home / "data",
        "-U",
        "app",
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
    ]
    argv += ["--no-sync", "--locale=C", "--encoding=UTF8"]
    subprocess.run(argv, check=True, capture_output=True, cwd=home, **AS_NOBODY)


def _accepts(port: int, password: str) -> bool:
    try:
        psycopg.connect(host="127.0.0.1", port=port, user="app", password=password, dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def valkey(program: Path, password: str, port: int) -> Iterator[Running]:
    quoted = password.replace("\\", "\\\\").replace('"', '\\"')
    # By stdin, so that the password is in no argument list.
    config = f'bind 127.0.0.1\nport {port}\nsave ""\nrequirepass "{quoted}"\n'
    with directory() as home, redis.Redis(port=port, password=password) as client:
        with running([program, "-"], home, lambda _: _pings(client), stdin=config, **AS_NOBODY) as process:
            yield process


def _pings(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


@contextmanager
def llama(program: Path, model: Path, port: int) -> Iterator[Running]:
    with directory() as home:
        argv: list[str | Path] = [
            program,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "-m",
            model,
            "-c",
            "2048",
            "-t",
            "2",
            "--offline",
        ]
        with running(argv, home, lambda _: _has_loaded(port)) as process:
            yield process


def _has_loaded(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False
