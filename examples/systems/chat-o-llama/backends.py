"""The two back ends: an Ollama server, and llama.cpp inside this process."""

import json
import os
from pathlib import Path

import requests


class NoAnswer(Exception):
    """Why a back end gave no answer."""


def read_config(path):
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    # Where the stack has its Ollama; the original knows the file alone.
    if os.environ.get("OLLAMA_URL"):
        config["ollama"]["base_url"] = os.environ["OLLAMA_URL"]
    return config


class Ollama:
    def __init__(self, config):
        self.url = config["ollama"]["base_url"]
        self.limits = (config["ollama"]["connect_timeout"], config["ollama"]["timeout"])

    def models(self, limits):
        try:
            answer = requests.get(f"{self.url}/api/tags", timeout=limits)
            answer.raise_for_status()
            return [model["name"] for model in answer.json()["models"]]
        except (requests.RequestException, KeyError) as error:
            raise NoAnswer(f"{self.url}: {type(error).__name__}") from None

    def is_reachable(self):
        try:
            self.models((5, 10))
        except NoAnswer:
            return False
        return True

    def reply(self, message):
        models = self.models(self.limits)
        if not models:
            raise NoAnswer(f"{self.url} has no model")
        body = {"model": models[0], "stream": False, "messages": [{"role": "user", "content": message}]}
        try:
            answer = requests.post(f"{self.url}/api/chat", json=body, timeout=self.limits)
            answer.raise_for_status()
            return answer.json()["message"]["content"]
        except (requests.RequestException, KeyError) as error:
            raise NoAnswer(f"{self.url}: {type(error).__name__}") from None


class LlamaCpp:
    def __init__(self, config):
        self.settings = config["llamacpp"]

    def model(self):
        directory = Path(self.settings["model_path"])
        found = sorted(path for path in directory.rglob("*.gguf") if path.is_file() and path.stat().st_size > 0)
        if not found:
            raise NoAnswer(f"no *.gguf file below {directory}")
        return found[0]

    def is_reachable(self):
        try:
            self.model()
        except NoAnswer:
            return False
        return True

    def reply(self, message):
        from llama_cpp import Llama

        llama = Llama(model_path=str(self.model()), n_ctx=self.settings["n_ctx"])
        answer = llama.create_chat_completion([{"role": "user", "content": message}])
        return answer["choices"][0]["message"]["content"]


BACKENDS = {"ollama": Ollama, "llamacpp": LlamaCpp}
