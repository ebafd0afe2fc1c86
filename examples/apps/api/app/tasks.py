"""The queue, and the one task on it. Worker: dramatiq app.tasks"""

import logging

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import Retry
from dramatiq.middleware import TimeLimitExceeded
from redis.backoff import NoBackoff
from redis.retry import Retry as ReconnectPolicy

from app import llm, questions, settings

ATTEMPTS = 4
log = logging.getLogger(__name__)

# One reconnect without a pause: a request that enqueues would otherwise hang for seconds while the broker is away.
# maintenance_chance (in a million) of each poll: it hands out what a killed worker held, a minute after its last sign
# of life. The default, 1000, leaves such a question waiting for a quarter of an hour on a quiet queue.
broker = RedisBroker(
    maintenance_chance=200_000,
    client=redis.Redis.from_url(
        settings.redis_url(),
        socket_connect_timeout=2,
        socket_timeout=5,
        retry=ReconnectPolicy(NoBackoff(), 1),
    ),
)
dramatiq.set_broker(broker)
settings.llm_url()  # a worker without it stops here, not at the first question


# ATTEMPTS bounds how often the model server is asked. max_retries also covers the database being away (a few minutes).
@dramatiq.actor(max_retries=20, min_backoff=1_000, max_backoff=15_000, time_limit=(llm.ANSWER_WITHIN_S + 30) * 1_000)
def answer_question(question_id: int) -> None:
    claimed = questions.claim(question_id)
    if claimed is None:
        log.info("question %d: nothing to do", question_id)
        return
    try:
        reply = llm.ask(claimed.text)
    except (llm.Unavailable, TimeLimitExceeded) as error:
        _try_again(question_id, claimed.attempts, str(error) or "the answer took too long")
    except llm.Refused as error:
        _give_up(question_id, str(error))
    else:
        questions.finish(question_id, reply)
        log.info("question %d: answered, %d tokens, %.1f s", question_id, reply.completion_tokens, reply.seconds)


def _try_again(question_id: int, attempts: int, reason: str) -> None:
    if attempts >= ATTEMPTS:
        _give_up(question_id, f"{reason} (tried {attempts} times)")
        return
    log.warning("question %d: %s, attempt %d of %d", question_id, reason, attempts, ATTEMPTS)
    questions.release(question_id)
    raise Retry(reason)


def _give_up(question_id: int, reason: str) -> None:
    questions.fail(question_id, reason)
    log.error("question %d: failed, %s", question_id, reason)
