"""The work of a GPU worker. Each activity takes a task's arguments and gives its result."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from os import environ

from src.backend.services import llm_llamacpp


@cache
def device() -> tuple[str, str]:
    """`cuda` or `cpu`, and why. Found once: a worker does not change its device while it runs."""
    if find_spec("ctranslate2") is None:
        return "cpu", "faster-whisper is not installed, and nothing else here computes"
    import ctranslate2

    count = ctranslate2.get_cuda_device_count()
    return ("cuda", f"{count} device(s)") if count > 0 else ("cpu", "CTranslate2 finds no CUDA device")


@cache
def _whisper():
    from faster_whisper import WhisperModel

    model = environ.get("WHISPER_MODEL", "tiny")
    if device()[0] == "cuda":
        try:
            return WhisperModel(model, device="cuda", compute_type="float16")
        except (RuntimeError, ValueError) as error:
            # A driver that is too old, or no memory left: the work goes on, more slowly.
            print(f"whisper falls back to the CPU: {error}", flush=True)
    return WhisperModel(model, device="cpu", compute_type="int8")


def transcribe(arguments: Mapping[str, str]) -> str:
    if find_spec("faster_whisper") is None:
        raise RuntimeError("faster-whisper is not installed: add it to requirements.in")
    segments, _ = _whisper().transcribe(arguments["audio"])
    return " ".join(segment.text.strip() for segment in segments)


def generate(arguments: Mapping[str, str]) -> str:
    return llm_llamacpp.complete(arguments["prompt"])


ACTIVITIES: Mapping[str, Callable[[Mapping[str, str]], str]] = {"transcribe": transcribe, "generate": generate}
