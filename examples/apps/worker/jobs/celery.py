"""Celery's application. Worker: celery -A jobs worker; scheduler: celery -A jobs beat"""

import redis

from celery import Celery
from jobs import work

URL = work.broker_url("CELERY_BROKER_URL")

app = Celery("jobs", broker=URL)
app.conf.beat_schedule = {"tick": {"task": "jobs.celery.tick", "schedule": 2.0}}
# The broker may come a little later than its worker.
app.conf.broker_connection_retry_on_startup = True
client = redis.Redis.from_url(URL)


@app.task
def take(name: str, seconds: float) -> str:
    return work.take(client, name, seconds)


@app.task(ignore_result=True, expires=10)
def tick() -> None:
    client.incr("jobs:ticks")
