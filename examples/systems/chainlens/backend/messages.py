"""Threads and their messages, in the table `messages` of Supabase, by its REST interface."""

import httpx
from settings import SUPABASE_ANON_KEY, SUPABASE_URL

client = httpx.Client(base_url=f"{SUPABASE_URL}/rest/v1", headers={"apikey": SUPABASE_ANON_KEY}, timeout=5)


def add(thread_id: str, role: str, text: str) -> None:
    client.post("/messages", json={"thread_id": thread_id, "type": role, "text": text}).raise_for_status()


def newest(thread_id: str) -> dict[str, str] | None:
    query = {"thread_id": f"eq.{thread_id}", "order": "id.desc", "limit": "1"}
    answer = client.get("/messages", params=query)
    answer.raise_for_status()
    return next(iter(answer.json()), None)


def check() -> None:
    client.get("/").raise_for_status()
