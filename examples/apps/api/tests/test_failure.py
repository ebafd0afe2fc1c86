"""Each dependency away, one at a time: what the API says, what becomes of the question, and that no secret shows."""

import time
from pathlib import Path

import app_processes
from conftest import PASSWORD, Asker, World


def assert_no_secret(text: str) -> None:
    assert PASSWORD not in text
    assert "%25s%27" not in text  # its beginning in a URL


def test_without_the_model_server_a_question_fails_with_the_reason(
    without_model: World, ask: Asker, tmp_path: Path
) -> None:
    world = without_model
    with app_processes.api(world.env, tmp_path) as (server, api), app_processes.worker(world.env, tmp_path) as worker:
        found = ask(api, "Anybody there?")
        health = api.get("/api/health")
        assert_no_secret(server.log + worker.log + health.text)

    assert found["status"] == "failed"
    assert found["answer"] == "the model server cannot be reached (tried 4 times)"
    assert (found["prompt_tokens"], found["completion_tokens"], found["seconds"]) == (None, None, None)
    assert health.status_code == 503
    assert _states(health.json()) == {"db": "ok", "broker": "ok", "chat": "down"}


def test_without_the_database_the_api_starts_and_says_so(
    without_model: World, closed_port: int, tmp_path: Path
) -> None:
    with app_processes.api(without_model.but(db_port=closed_port).env, tmp_path) as (server, api):
        health = api.get("/api/health")
        asked = api.post("/api/questions", json={"text": "Hello?"})
        listed = api.get("/api/questions")
        assert_no_secret(server.log + health.text + asked.text + listed.text)

    assert health.status_code == 503
    assert _states(health.json()) == {"db": "down", "broker": "ok", "chat": "down"}
    assert health.json()["dependencies"]["db"]["reason"] == "OperationalError"
    assert (asked.status_code, listed.status_code) == (503, 503)


def test_without_the_broker_a_question_is_refused_and_marked_failed(
    without_model: World, closed_port: int, tmp_path: Path
) -> None:
    world = without_model.but(broker_port=closed_port)
    with app_processes.api(world.env, tmp_path) as (server, api):
        started = time.monotonic()
        asked = api.post("/api/questions", json={"text": "Lost?"})
        took = time.monotonic() - started
        health = api.get("/api/health")
        assert_no_secret(server.log + health.text + asked.text)

    assert asked.status_code == 503
    assert took < 2
    row = world.newest()
    assert (row["text"], row["status"], row["answer"]) == ("Lost?", "failed", "the queue cannot be reached")
    assert _states(health.json()) == {"db": "ok", "broker": "down", "chat": "down"}


def test_the_health_answers_in_time_when_nobody_else_does(
    without_model: World, silent_port: int, tmp_path: Path
) -> None:
    world = without_model.but(db_port=silent_port, broker_port=silent_port, llm_port=silent_port)
    with app_processes.api(world.env, tmp_path) as (_, api):
        started = time.monotonic()
        health = api.get("/api/health")
        took = time.monotonic() - started

    assert health.status_code == 503
    assert {one["reason"] for one in health.json()["dependencies"].values()} == {"no answer within 2 s"}
    assert took < 3


def test_a_wrong_password_is_down_and_stays_secret(without_model: World, tmp_path: Path) -> None:
    env = {key: value.replace("p%25s", "p%25wrong") for key, value in without_model.env.items()}
    with app_processes.api(env, tmp_path) as (server, api):
        health = api.get("/api/health")
        asked = api.post("/api/questions", json={"text": "Let me in?"})
        assert "wrong" not in server.log + health.text + asked.text

    assert _states(health.json()) == {"db": "down", "broker": "down", "chat": "down"}
    assert asked.status_code == 503


def test_both_processes_end_soon_after_sigterm(without_model: World, tmp_path: Path) -> None:
    with (
        app_processes.api(without_model.env, tmp_path) as (api, _),
        app_processes.worker(without_model.env, tmp_path) as worker,
    ):
        started = time.monotonic()
        worker.stop()
        api.stop()
        took = time.monotonic() - started

    assert took < 6
    assert worker.popen.returncode == 0
    assert "Application shutdown complete" in api.log  # uvicorn then ends by the same signal
    assert "Worker has been shut down" in worker.log


def _states(body: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    return {name: one["status"] for name, one in body["dependencies"].items()}
