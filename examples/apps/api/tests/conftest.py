"""Real Postgres, Valkey and llama-server for the whole run; programs come from ENGINEROOM_TEST_*."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import app_processes
import httpx
import psycopg
import pytest
import redis
import servers
from process import Running, free_port, wait_until

# Every character that a URL, a config parser, a shell or a log format could trip over.
PASSWORD = "p%s' w$\"/@:%25#é"
FINAL = ("answered", "failed")


def _program(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.skip(f"{variable} is not set")
    if not Path(value).exists():
        pytest.skip(f"{variable} names {value}, which does not exist")
    return Path(value)


@dataclass(frozen=True)
class World:
    """Where the dependencies are. A test that breaks one replaces its port and takes a queue of its own."""

    db_port: int
    broker_port: int
    llm_port: int
    queue: int = 0

    @property
    def env(self) -> dict[str, str]:
        password = quote(PASSWORD, safe="")
        return {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": f"postgresql://app:{password}@127.0.0.1:{self.db_port}/postgres",
            "REDIS_URL": f"redis://:{password}@127.0.0.1:{self.broker_port}/{self.queue}",
            "LLM_URL": f"http://127.0.0.1:{self.llm_port}",
        }

    def but(self, **changes: int) -> "World":
        return replace(self, **changes)

    def row(self, question_id: int) -> dict[str, Any]:
        return self._query("select * from questions where id = %s", question_id)

    def newest(self) -> dict[str, Any]:
        return self._query("select * from questions order by id desc limit 1")

    def execute(self, statement: str, *values: object) -> None:
        with self._connect() as connection:
            connection.execute(statement, values)

    def _query(self, statement: str, *values: object) -> dict[str, Any]:
        with self._connect() as connection:
            row = connection.cursor(row_factory=psycopg.rows.dict_row).execute(statement, values).fetchone()
        assert row, f"no row for {statement} {values}"
        return row

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.db_port, user="app", password=PASSWORD, dbname="postgres", autocommit=True
        )

    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.broker_port, password=PASSWORD, db=self.queue)

    def wait_for_empty_queue(self) -> None:
        with self.redis() as client:
            wait_until(lambda: not _queued(client), within_s=30, what="the queue is empty and nothing is in flight")


def _queued(client: redis.Redis) -> int:
    # Each message stays in this hash until its worker has acknowledged it.
    return int(client.hlen("dramatiq:default.msgs")) + int(client.hlen("dramatiq:default.DQ.msgs"))


@pytest.fixture(scope="session")
def db_port() -> Iterator[int]:
    port = free_port()
    with servers.postgres(_program("ENGINEROOM_TEST_POSTGRES"), PASSWORD, port):
        yield port


@pytest.fixture(scope="session")
def broker_port() -> Iterator[int]:
    port = free_port()
    with servers.valkey(_program("ENGINEROOM_TEST_REDIS"), PASSWORD, port):
        yield port


@pytest.fixture(scope="session")
def llm_port() -> Iterator[int]:
    port = free_port()
    with servers.llama(_program("ENGINEROOM_TEST_LLAMA"), _program("ENGINEROOM_TEST_MODEL"), port):
        yield port


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture(scope="session")
def closed_port() -> int:
    return free_port()


@pytest.fixture(scope="session")
def without_model(db_port: int, broker_port: int, closed_port: int) -> World:
    """A migrated database and a broker; the model server is not running."""
    world = World(db_port, broker_port, closed_port, queue=1)
    app_processes.alembic(world.env, "upgrade", "head").check_returncode()
    return world


@pytest.fixture(scope="session")
def world(without_model: World, llm_port: int) -> World:
    return without_model.but(llm_port=llm_port, queue=0)


@pytest.fixture(scope="session")
def api(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with app_processes.api(world.env, tmp_path_factory.mktemp("api")) as (_, client):
        yield client


@pytest.fixture(scope="session")
def worker(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with app_processes.worker(world.env, tmp_path_factory.mktemp("worker")) as process:
        yield process


Asker = Callable[[httpx.Client, str], dict[str, Any]]


@pytest.fixture(scope="session")
def ask() -> Asker:
    """Ask and wait for the final status."""

    def ask(client: httpx.Client, text: str) -> dict[str, Any]:
        asked = client.post("/api/questions", json={"text": text})
        assert asked.status_code == 202, asked.text
        url = f"/api/questions/{asked.json()['id']}"
        wait_until(lambda: client.get(url).json()["status"] in FINAL, within_s=60, what=f"{url} is final")
        found: dict[str, Any] = client.get(url).json()
        return found

    return ask
