"""What the environment says. A missing variable ends the program with one line, never with its value."""

import os
import sys
from typing import NoReturn

SERVICES = ("brain", "gateway", "cad", "fabrication", "safety", "voice")


def service() -> str:
    name = os.environ.get("SERVICE", "")
    return name if name in SERVICES else _stop("SERVICE", f"one of {', '.join(SERVICES)}", name or "nothing")


def required(name: str) -> str:
    """Secret, as a URL with a password is."""
    return os.environ.get(name) or _stop(name, "a URL", "nothing")


def _stop(name: str, expected: str, got: str) -> NoReturn:
    sys.exit(f"{name}: expected {expected}, got {got}. Fix: export {name}='...'")
