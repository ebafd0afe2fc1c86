"""The compute API. Server: uvicorn src.api.main:app --port PORT"""

import json
from typing import Annotated, Literal

import httpx
import redis
from fastapi import FastAPI, HTTPException, Path
from pydantic import BaseModel, ConfigDict, StringConstraints

from src import queue

QUEUE = queue.setting("QUEUE")
LLAMA_URL = queue.setting("LLAMA_URL")
broker = queue.client()
# No documentation pages: they load their scripts from elsewhere.
app = FastAPI(title="compute", docs_url=None, redoc_url=None)


class Task(BaseModel):
    model_config = ConfigDict(strict=True)

    kind: Literal["transcribe", "generate"]
    prompt: Annotated[str, StringConstraints(max_length=4000)] = ""
    """Of a file that the worker can read."""
    audio: Annotated[str, StringConstraints(max_length=4000)] = ""


@app.get("/health")
def health() -> dict[str, object]:
    """200 as long as the API itself works: of what it needs it tells how that is."""
    found = {"queue": _queue(), "llama": _llama()}
    return {"status": "ok" if set(found.values()) == {"ok"} else "degraded", "dependencies": found}


def _queue() -> str:
    try:
        return "ok" if broker.ping() else "unreachable"
    except redis.RedisError:
        return "unreachable"


def _llama() -> str:
    try:
        # A proxy set for the outside world has no business between us and the model server.
        return "ok" if httpx.get(f"{LLAMA_URL}/health", timeout=2, trust_env=False).status_code == 200 else "loading"
    except httpx.HTTPError:
        return "unreachable"


@app.post("/tasks", status_code=202)
def add(task: Task) -> dict[str, str]:
    try:
        return {"id": queue.put(broker, QUEUE, task.kind, json.dumps(task.model_dump(exclude={"kind"})))}
    except redis.RedisError:
        raise HTTPException(503, "the queue cannot be reached, ask again later") from None


@app.get("/tasks/{task}")
def show(task: Annotated[str, Path(pattern="^[0-9a-f]{32}$")]) -> dict[str, str | None]:
    try:
        found = broker.hgetall(queue.key(task))
    except redis.RedisError:
        raise HTTPException(503, "the queue cannot be reached, ask again later") from None
    if not found:
        raise HTTPException(404, f"there is no task {task}")
    return {"id": task} | {name: found.get(name) for name in ("state", "result", "worker", "device", "reason")}
