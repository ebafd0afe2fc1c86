"""Writes one service's files as `up` would, by apply.py itself, and starts nothing."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../runtime"))

import apply  # noqa: E402

plan = json.loads(os.environ["PLAN"])
os.umask(0o066)
apply.make_places(plan)
os.umask(0o077)
apply.become(plan.get("account"))
apply.install(plan)
