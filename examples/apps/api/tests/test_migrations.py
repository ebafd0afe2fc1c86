"""The migrations make the table that the code expects, and a second run finds nothing to do."""

import time

from app_processes import alembic
from conftest import World


def test_a_second_upgrade_does_nothing_and_is_quick(without_model: World) -> None:
    started = time.monotonic()
    done = alembic(without_model.env, "upgrade", "head")

    assert done.returncode == 0, done.stderr
    assert time.monotonic() - started < 5


def test_the_table_is_what_the_code_expects(without_model: World) -> None:
    done = alembic(without_model.env, "check")

    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_database_url_is_needed(without_model: World) -> None:
    env = {key: without_model.env[key] for key in ("PATH", "DATABASE_URL")}

    assert alembic(env, "current").stdout.strip() == "0001 (head)"
