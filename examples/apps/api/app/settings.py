"""What the environment says. A missing or malformed variable ends the program with one line, never with its value."""

import os
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError


def database_url() -> URL:
    """DATABASE_URL for SQLAlchemy with psycopg 3. Its text form hides the password."""
    expected = "postgresql://user:percent-encoded-password@host:port/database"
    try:
        url = make_url(_required("DATABASE_URL", expected))
    except (ArgumentError, ValueError):
        _stop("DATABASE_URL", expected, "something else (secret)")
    if url.get_backend_name() not in ("postgresql", "postgres") or not url.host or not url.database:
        _stop("DATABASE_URL", expected, "something else (secret)")
    return url.set(drivername="postgresql+psycopg")


def redis_url() -> str:
    """REDIS_URL as it is: redis-py decodes the percent signs. Secret."""
    return _url("REDIS_URL", ("redis", "rediss"), "redis://:percent-encoded-password@host:port/0")


def llm_url() -> str:
    """Root of an OpenAI-compatible server, without a slash at the end."""
    return _url("LLM_URL", ("http", "https"), "http://host:port").rstrip("/")


def llm_model() -> str | None:
    """Model to name in each request; None where the server has only one."""
    return os.environ.get("LLM_MODEL") or None


def llm_max_tokens() -> int:
    """Longest answer, in tokens. Default 64."""
    text = os.environ.get("LLM_MAX_TOKENS") or "64"
    if not text.isdecimal() or int(text) < 1:
        _stop("LLM_MAX_TOKENS", "a whole number above 0", repr(text))
    return int(text)


def llm_headers() -> dict[str, str]:
    """The key from LLM_API_KEY_FILE as a header. Secret. Raises OSError where the file cannot be read."""
    path = os.environ.get("LLM_API_KEY_FILE")
    return {"Authorization": f"Bearer {Path(path).read_text().strip()}"} if path else {}


def _url(name: str, schemes: tuple[str, ...], expected: str) -> str:
    text = _required(name, expected)
    try:
        parts = urlsplit(text)
        valid = parts.scheme in schemes and parts.hostname and (parts.port or True)
    except ValueError:
        valid = False
    if not valid:
        _stop(name, expected, "something else (secret)")
    return text


def _required(name: str, expected: str) -> str:
    return os.environ.get(name) or _stop(name, expected, "nothing")


def _stop(name: str, expected: str, got: str) -> NoReturn:
    sys.exit(f"{name}: expected {expected}, got {got}. Fix: export {name}='...'")
