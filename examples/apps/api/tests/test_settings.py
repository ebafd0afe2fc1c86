"""A wrong environment ends the program with one line that names the variable and no value."""

import pytest
from app_processes import python

ENV = {
    "DATABASE_URL": "postgresql://app:p%25s%27%20w%24@db.example:5432/app",
    "REDIS_URL": "redis://:secret@broker.example:6379/0",
    "LLM_URL": "http://127.0.0.1:1/",
}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "hush"),
        ("DATABASE_URL", "mysql://app:hush@db.example/app"),
        ("DATABASE_URL", "postgresql://app:hush@db.example:port/app"),
        ("DATABASE_URL", "postgresql://app:hush@db.example"),
        ("REDIS_URL", ""),
        ("REDIS_URL", "http://:hush@broker.example"),
        ("REDIS_URL", "redis://:hush@broker.example:99999/0"),
        ("LLM_URL", ""),
        ("LLM_URL", "hush"),
    ],
)
def test_a_wrong_variable_is_named_and_not_shown(name: str, value: str) -> None:
    done = python(ENV | {name: value}, "import app.main")

    assert done.returncode == 1
    assert done.stderr.startswith(f"{name}: expected ")
    assert done.stderr.count("\n") == 1
    assert "hush" not in done.stderr


def test_the_database_password_is_decoded_and_hidden() -> None:
    done = python(ENV, "from app.settings import database_url as url; print(url()); print(url().password)")

    assert done.stdout.splitlines() == ["postgresql+psycopg://app:***@db.example:5432/app", "p%s' w$"]


def test_importing_the_api_connects_to_nothing() -> None:
    assert python(ENV, "import app.main").returncode == 0
