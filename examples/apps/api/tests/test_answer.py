"""A question is answered by the real model, and the row is in Postgres."""

import httpx
from app_processes import enqueue
from conftest import Asker, World
from process import Running

KEYS = {"id", "text", "status", "answer", "prompt_tokens", "completion_tokens", "seconds"}


def test_a_question_is_answered_with_text_and_token_counts(
    api: httpx.Client, worker: Running, world: World, ask: Asker
) -> None:
    found = ask(api, "  What is the capital of France?  ")

    assert set(found) == KEYS
    assert found["status"] == "answered"
    assert found["text"] == "What is the capital of France?"
    assert len(found["answer"]) > 0
    assert found["prompt_tokens"] > 5
    assert 0 < found["completion_tokens"] <= 64
    assert found["seconds"] > 0
    row = world.row(found["id"])
    assert {key: row[key] for key in KEYS} == found
    assert row["attempts"] == 1


def test_the_list_shows_the_newest_first(api: httpx.Client, worker: Running, ask: Asker) -> None:
    first, second = ask(api, "One?"), ask(api, "Two?")

    assert api.get("/api/questions", params={"limit": 2}).json() == [second, first]
    assert api.get("/api/questions").json()[:2] == [second, first]


def test_an_answered_question_is_left_alone_when_it_is_delivered_again(
    api: httpx.Client, worker: Running, world: World, ask: Asker
) -> None:
    found = ask(api, "Again?")
    before = world.row(found["id"])

    enqueue(world.env, found["id"])
    world.wait_for_empty_queue()

    assert world.row(found["id"]) == before
    assert f"question {found['id']}: nothing to do" in worker.log


def test_a_question_whose_worker_died_is_answered_when_it_is_delivered_again(
    api: httpx.Client, worker: Running, world: World, ask: Asker
) -> None:
    found = ask(api, "Interrupted?")
    world.execute("update questions set status = 'answering', answer = null where id = %s", found["id"])

    enqueue(world.env, found["id"])
    world.wait_for_empty_queue()

    row = world.row(found["id"])
    assert (row["status"], row["attempts"]) == ("answered", 2)
    assert row["answer"]


def test_an_id_without_a_question_does_no_harm(api: httpx.Client, worker: Running, world: World) -> None:
    enqueue(world.env, 999_999)
    world.wait_for_empty_queue()

    assert "question 999999: nothing to do" in worker.log


def test_the_health_is_ok_when_all_dependencies_work(api: httpx.Client) -> None:
    for path in ("/api/health", "/health"):
        answer = api.get(path)

        assert answer.status_code == 200
        body = answer.json()
        assert body["status"] == "ok"
        assert {name: one["status"] for name, one in body["dependencies"].items()} == {
            "db": "ok",
            "broker": "ok",
            "chat": "ok",
        }
        assert all(0 < one["latency_ms"] < 2000 for one in body["dependencies"].values())


def test_a_question_that_the_model_cannot_hold_fails_at_once(
    api: httpx.Client, worker: Running, world: World, ask: Asker
) -> None:
    found = ask(api, "7" * 4000)

    assert found["status"] == "failed"
    assert "context" in found["answer"]
    assert world.row(found["id"])["attempts"] == 1
