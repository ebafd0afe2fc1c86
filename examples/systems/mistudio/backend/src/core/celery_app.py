"""Celery's application. Worker: celery -A src.core.celery_app worker; scheduler: celery -A src.core.celery_app beat"""

import time

import redis

from celery import Celery
from src.core import settings

MONITOR = "mistudio:monitor"
KEPT = 1000

app = Celery(
    "mistudio",
    broker=settings.required("CELERY_BROKER_URL"),
    backend=settings.required("CELERY_RESULT_BACKEND"),
)
app.conf.beat_schedule = {
    "monitor": {"task": "mistudio.monitor", "schedule": 2.0},
    "cleanup": {"task": "mistudio.cleanup", "schedule": 600.0},
}
# So that a job which waits can be told from one that nobody knows.
app.conf.task_track_started = True
# The broker may come a little later than its worker.
app.conf.broker_connection_retry_on_startup = True
client = redis.Redis.from_url(settings.required("REDIS_URL"))


@app.task(name="mistudio.tokenise")
def tokenise(text: str) -> dict[str, int]:
    """Stands for the studio's work on a dataset."""
    return {"tokens": len(text.split())}


# expires: after a pause of the worker, one is enough.
@app.task(name="mistudio.monitor", ignore_result=True, expires=10)
def monitor() -> None:
    client.rpush(MONITOR, time.time())


@app.task(name="mistudio.cleanup", ignore_result=True)
def cleanup() -> None:
    client.ltrim(MONITOR, -KEPT, -1)
