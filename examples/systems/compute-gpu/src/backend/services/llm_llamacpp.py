"""Asks llama-server, by its OpenAI-compatible API."""

import httpx

from src import queue

ANSWER_WITHIN_S = 120


def complete(prompt: str) -> str:
    with httpx.Client(base_url=queue.setting("LLAMA_URL"), timeout=ANSWER_WITHIN_S, trust_env=False) as llama:
        request = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 64}
        answer = llama.post("/v1/chat/completions", json=request).raise_for_status()
    return str(answer.json()["choices"][0]["message"]["content"]).strip()
