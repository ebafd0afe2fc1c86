"""The backend: takes messages and queues the job that answers them."""

from uuid import uuid4

import httpx
import messages
from fastapi import FastAPI, HTTPException, Response
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel
from redis import RedisError
from run_agent_background import redis, run_agent, run_key

app = FastAPI()
# The page comes from another port.
app.add_middleware(CORSMiddleware, allow_origin_regex=r"http://(localhost|127\.0\.0\.1)(:\d+)?", allow_methods=["*"])


class Message(BaseModel):
    text: str


@app.get("/health")
def health(response: Response) -> dict[str, object]:
    dependencies = {"redis": works(redis.ping), "supabase": works(messages.check)}
    healthy = all(state == "healthy" for state in dependencies.values())
    response.status_code = 200 if healthy else 503
    return {"status": "healthy" if healthy else "unhealthy", "dependencies": dependencies}


def works(ask) -> str:
    try:
        ask()
    except (RedisError, httpx.HTTPError) as error:
        return f"unhealthy: {type(error).__name__}"
    return "healthy"


@app.post("/api/threads")
def thread() -> dict[str, str]:
    return {"thread_id": uuid4().hex}


@app.post("/api/threads/{thread_id}/messages", status_code=202)
def message(thread_id: str, message: Message) -> dict[str, str]:
    messages.add(thread_id, "user", message.text)
    run_id = uuid4().hex
    redis.hset(run_key(run_id), "state", "queued")
    run_agent.send(run_id, thread_id)
    return {"run_id": run_id}


@app.get("/api/runs/{run_id}")
def run(run_id: str) -> dict[str, str | None]:
    found = redis.hgetall(run_key(run_id))
    if not found:
        raise HTTPException(404, "no such run")
    return {"state": found["state"], "answer": found.get("answer")}


@app.get("/api/stats")
def stats() -> dict[str, int]:
    return {"ai_calls": int(redis.get("chainlens:ai_calls") or 0)}
