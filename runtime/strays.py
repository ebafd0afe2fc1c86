"""Ends programs that recorded starts of a stack left behind: `strays.py`, its plan as JSON in the variable PLAN.

`services` names those to look at, each with the seconds that a running task has to end; `supervised` lists the processes
that supervisord runs, which stay. What does not prove to be a recorded start's stays, too. Prints what ended as JSON.
"""

import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from apply import become  # noqa: E402
from host import lives, survivors, wait_until  # noqa: E402
from launch import read_records, send  # noqa: E402

KILLED_SECONDS = 5


def main():
    plan = json.loads(os.environ["PLAN"])
    become(plan.get("account"))
    print(json.dumps({name: end(plan, name, grace) for name, grace in plan["services"].items()}))


def end(plan, service, grace):
    """Its first process lets running tasks end; where that is gone, the others are told."""
    ended = []
    for record in read_records(f"{plan['servicesDir']}/{service}/starts.jsonl"):
        if record.get("pid") in plan["supervised"]:
            continue
        members = survivors(record, plan["owner"])
        for pid in [record["pid"]] if members and lives(record) else members:
            send(pid, signal.SIGTERM)
        if members and not wait_until(lambda: not survivors(record, plan["owner"]), grace):
            for pid in survivors(record, plan["owner"]):
                send(pid, signal.SIGKILL)
            wait_until(lambda: not survivors(record, plan["owner"]), KILLED_SECONDS)
        ended += members
    return ended


if __name__ == "__main__":
    main()
