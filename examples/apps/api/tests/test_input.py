"""What the API refuses. Nothing of it reaches the database."""

from collections.abc import Iterator
from pathlib import Path

import app_processes
import httpx
import pytest
from conftest import World

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def api(without_model: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    home: Path = tmp_path_factory.mktemp("api")
    with app_processes.api(without_model.env, home) as (_, client):
        yield client


@pytest.mark.parametrize(
    "body",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"text": ""}',
        '{"text": " \\n "}',
        '{"text": 3}',
        '{"text": null}',
        '{"text": NaN}',
        '{"text": ["a"]}',
        '{"text": "a\\u0000b"}',
        '{"text": "\\ud800"}',
        '{"text": "%s"}' % ("a" * 4001),
    ],
)
def test_a_wrong_question_is_refused(api: httpx.Client, body: str) -> None:
    before = api.get("/api/questions").json()

    answer = api.post("/api/questions", content=body, headers=JSON)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["msg"]
    assert api.get("/api/questions").json() == before


@pytest.mark.parametrize(("path", "status"), [("999999", 404), ("0", 404), ("-1", 404), ("9" * 20, 422), ("x", 422)])
def test_an_unknown_question_is_not_found(api: httpx.Client, path: str, status: int) -> None:
    assert api.get(f"/api/questions/{path}").status_code == status


@pytest.mark.parametrize("limit", ["0", "101", "x"])
def test_a_wrong_limit_is_refused(api: httpx.Client, limit: str) -> None:
    assert api.get("/api/questions", params={"limit": limit}).status_code == 422
