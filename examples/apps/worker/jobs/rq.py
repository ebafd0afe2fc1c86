"""What RQ's workers run. Worker: rq worker; a job: rq enqueue jobs.rq.take NAME SECONDS"""

import redis

from jobs import work

client = redis.Redis.from_url(work.broker_url("RQ_REDIS_URL"))


def take(name: str, seconds: str) -> str:
    return work.take(client, name, float(seconds))
