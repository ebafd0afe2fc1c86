"""Dramatiq's actor. Worker: dramatiq jobs.dramatiq"""

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from jobs import work

client = redis.Redis.from_url(work.broker_url("REDIS_URL"))
dramatiq.set_broker(RedisBroker(client=client))


@dramatiq.actor(max_retries=0)
def take(name: str, seconds: float) -> None:
    work.take(client, name, seconds)
