"""Asks an OpenAI-compatible server (llama-server) one question."""

import time
from dataclasses import dataclass
from functools import cache

import httpx

from app import settings

ANSWER_WITHIN_S = 120


@dataclass(frozen=True)
class Reply:
    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float


class Unavailable(Exception):
    """No answer this time; another try may get one."""


class Refused(Exception):
    """No answer, and another try would say the same."""


def ask(text: str) -> Reply:
    started = time.monotonic()
    response = _post(_request(text))
    if response.status_code in (408, 429) or response.status_code >= 500:
        raise Unavailable(f"the model server answered {response.status_code}")
    if response.status_code != 200:
        raise Refused(f"the model server answered {response.status_code}: {_error_message(response)}")
    return _read(response, time.monotonic() - started)


def _request(text: str) -> dict[str, object]:
    request: dict[str, object] = {
        "messages": [{"role": "user", "content": text}],
        "max_tokens": settings.llm_max_tokens(),
    }
    return request | ({"model": model} if (model := settings.llm_model()) else {})


def _post(request: dict[str, object]) -> httpx.Response:
    try:
        return _client().post("/v1/chat/completions", json=request, headers=settings.llm_headers())
    except httpx.TimeoutException:
        raise Unavailable(f"the model server gave no answer within {ANSWER_WITHIN_S} s") from None
    except httpx.TransportError:
        raise Unavailable("the model server cannot be reached") from None
    except OSError:
        raise Refused("the key in LLM_API_KEY_FILE cannot be read") from None


@cache
def _client() -> httpx.Client:
    # trust_env=False: a proxy set for the outside world has no business between us and the model server.
    timeout = httpx.Timeout(ANSWER_WITHIN_S, connect=5)
    return httpx.Client(base_url=settings.llm_url(), timeout=timeout, trust_env=False)


def _read(response: httpx.Response, seconds: float) -> Reply:
    try:
        body = response.json()
        text, usage = body["choices"][0]["message"]["content"], body["usage"]
        return Reply(str(text).strip(), int(usage["prompt_tokens"]), int(usage["completion_tokens"]), round(seconds, 3))
    except (ValueError, KeyError, IndexError, TypeError):
        raise Refused("the model server's answer is no chat completion") from None


def _error_message(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return "no reason given"
