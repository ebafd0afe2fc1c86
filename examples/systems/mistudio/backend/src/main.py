"""The API. Server: uvicorn src.main:app --port PORT"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Literal

import redis.asyncio
from celery.result import AsyncResult
from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select, text

from src.core import settings
from src.core.celery_app import app as celery
from src.core.celery_app import tokenise
from src.core.database import Dataset, Session, engine

LIMIT_S = 2.0


class NewDataset(BaseModel):
    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")


class DatasetView(NewDataset):
    model_config = ConfigDict(from_attributes=True)

    id: int


class NewJob(BaseModel):
    text: str = ""


class Queued(BaseModel):
    id: str


class Job(BaseModel):
    state: str
    result: dict[str, int] | str | None


class Health(BaseModel):
    status: Literal["ok", "down"]
    dependencies: dict[str, str]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with redis.asyncio.Redis.from_url(settings.required("REDIS_URL")) as app.state.redis:
        yield
    await engine.dispose()


app = FastAPI(title="miStudio", lifespan=lifespan)


@app.get("/api/v1/datasets")
async def datasets() -> list[DatasetView]:
    async with Session() as session:
        found = await session.scalars(select(Dataset).order_by(Dataset.id))
        return [DatasetView.model_validate(one) for one in found]


@app.post("/api/v1/datasets", status_code=201)
async def add_dataset(new: NewDataset) -> DatasetView:
    async with Session.begin() as session:
        dataset = Dataset(name=new.name)
        session.add(dataset)
        await session.flush()
        return DatasetView.model_validate(dataset)


# Celery's client waits for its broker: these two run in a thread.
@app.post("/api/v1/jobs", status_code=202)
def add_job(new: NewJob) -> Queued:
    return Queued(id=tokenise.delay(new.text).id)


@app.get("/api/v1/jobs/{job_id}")
def job(job_id: str) -> Job:
    found = AsyncResult(job_id, app=celery)
    return Job(state=found.state, result=found.result if found.successful() else str(found.result or "") or None)


@app.get("/health")
async def health(response: Response) -> Health:
    words = await asyncio.gather(_outcome(_select_one()), _outcome(app.state.redis.ping()))
    works = all(word == "ok" for word in words)
    response.status_code = 200 if works else 503
    return Health(status="ok" if works else "down", dependencies=dict(zip(("postgres", "redis"), words, strict=True)))


async def _select_one() -> None:
    async with engine.connect() as connection:
        await connection.execute(text("select 1"))


async def _outcome(check: Awaitable[object]) -> str:
    """Only the kind of error: its text names hosts, users and paths."""
    try:
        await asyncio.wait_for(check, LIMIT_S)
    except Exception as error:  # noqa: BLE001
        return type(error).__name__
    return "ok"


@app.websocket("/ws/")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json({"type": "hello", "service": "mistudio"})
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass
