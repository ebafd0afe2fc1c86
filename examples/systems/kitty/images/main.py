"""Takes orders for pictures and hands them to the queue. Server: uvicorn main:app --port PORT"""

import os
import sys
from typing import Annotated

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from redis import Redis
from rq import Queue
from rq.exceptions import NoSuchJobError
from rq.job import Job

import jobs

URL = os.environ.get("RQ_REDIS_URL") or sys.exit("RQ_REDIS_URL: expected redis://:password@host:port/0, got nothing")
connection = Redis.from_url(URL, socket_connect_timeout=2, socket_timeout=5)
queue = Queue("images", connection=connection)
app = FastAPI(title="images", docs_url=None, redoc_url=None)


class Order(BaseModel):
    seconds: Annotated[float, Field(ge=0, le=3600)]


class Ordered(BaseModel):
    job_id: str


class JobView(BaseModel):
    job_id: str
    status: str
    result: str | None


@app.get("/")
def waiting() -> dict[str, int]:
    return {"waiting": queue.count}


@app.post("/generate", status_code=202)
def generate(order: Order) -> Ordered:
    return Ordered(job_id=queue.enqueue(jobs.generate, order.seconds, job_timeout=order.seconds + 60).id)


@app.get("/jobs/{job_id}")
def show(job_id: str) -> JobView:
    try:
        job = Job.fetch(job_id, connection=connection)
    except NoSuchJobError:
        raise HTTPException(404, f"there is no job {job_id}") from None
    return JobView(job_id=job.id, status=job.get_status().value, result=job.return_value())
