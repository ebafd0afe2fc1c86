"""A worker is killed while it answers; the next one gets its question without anybody asking again."""

from pathlib import Path

import app_processes
from conftest import World
from process import wait_until

HEARTBEATS = "dramatiq:__heartbeats__"


def test_the_question_of_a_killed_worker_is_answered_by_the_next(
    world: World, silent_port: int, tmp_path: Path
) -> None:
    world = world.but(queue=2)
    with app_processes.api(world.env, tmp_path) as (_, api):
        with app_processes.worker(world.but(llm_port=silent_port).env, tmp_path) as stuck:
            url = f"/api/questions/{api.post('/api/questions', json={'text': 'Still there?'}).json()['id']}"
            wait_until(lambda: api.get(url).json()["status"] == "answering", within_s=10, what="it is being answered")
            stuck.kill()
        _let_a_minute_pass(world)
        with app_processes.worker(world.env, tmp_path):
            wait_until(lambda: api.get(url).json()["status"] == "answered", within_s=60, what="it is answered")


def _let_a_minute_pass(world: World) -> None:
    """Without waiting for it: the last signs of life are set back instead."""
    with world.redis() as client:
        for member, score in client.zscan_iter(HEARTBEATS):
            client.zadd(HEARTBEATS, {member: score - 61_000})
