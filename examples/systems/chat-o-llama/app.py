"""Stands in for Chat-O-Llama: one Flask process, two back ends, of which `config.json` says which is active."""

import os
from datetime import datetime, timezone

from backends import BACKENDS, NoAnswer, read_config
from flask import Flask, jsonify, request

CONFIG = read_config(os.environ.get("CONFIG_FILE", "config.json"))
ACTIVE = CONFIG["backend"]["active"]
# As it was at the start: a switch takes a restart.
REACHABLE = BACKENDS[ACTIVE](CONFIG).is_reachable()

app = Flask(__name__)


@app.get("/health")
def health():
    return {"status": "healthy", "timestamp": datetime.now(timezone.utc).isoformat()}


@app.get("/api/backend")
def backend():
    return {"active": ACTIVE, "reachable": REACHABLE}


@app.post("/api/chat")
def chat():
    message = request.get_json()["message"]
    others = [name for name in BACKENDS if name != ACTIVE] if CONFIG["backend"]["auto_fallback"] else []
    failures = {}
    for name in (ACTIVE, *others):
        try:
            reply = BACKENDS[name](CONFIG).reply(message)
        except NoAnswer as error:
            failures[name] = str(error)
            continue
        return {"backend": name, "reply": reply, **({"instead_of": failures} if failures else {})}
    return jsonify(failures=failures), 503


if __name__ == "__main__":
    app.run(os.environ.get("HOST", "0.0.0.0"), int(os.environ.get("PORT", "3113")), threaded=True)
