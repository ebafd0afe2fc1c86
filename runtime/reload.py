"""Another settings file for a service that runs: tried beside the old one, then taken by a HUP; no connection is cut.

As nginx does it: one process leads, workers below it serve, and after a HUP others take their place.
"""

import os

from host import Refused, read, remove, tail, wait_until, write

RELOAD_SECONDS = 20
# A worker that only ends what it has begun.
ENDING = "shutting down"


def try_file(service, reload, directory, content, run):
    """Refuses what the program would not take, in its own words; what there was stays.

    `run` gives exit code and output of an argv.
    """
    path = f"{directory}/{reload['file']}"
    if read(path) == content:
        return
    candidate = f"{path}.new"
    write(candidate, content, 0o444)
    try:
        code, output = run(reload["test"])
    finally:
        remove(candidate)
    if code != 0:
        raise Refused(
            f"{service}: expected its program to take the new {reload['file']}, got: {words(output)}. "
            "Fix: correct its settings; what ran before still runs"
        )


def words(output):
    """nginx's errors, else the last line, and nothing of the name that the file had meanwhile."""
    import re

    lines = [line.strip() for line in output.replace(".new", "").splitlines() if line.strip()]
    errors = [re.sub(r"^.*?\[emerg\] (\d+#\d+: )?", "", line) for line in lines if "[emerg]" in line]
    return "; ".join(errors) or (lines[-1] if lines else "no word")


def hang_up(service, leader, send, log=None):
    """Returns when new workers serve and none of the old ones takes a connection any more."""
    before = workers(leader)
    send()
    if not wait_until(lambda: renewed(workers(leader), before), RELOAD_SECONDS):
        lines = "".join(f"\n    {line}" for line in tail(log)) if log else ""
        raise Refused(f"{service}: expected it to take its new settings within {RELOAD_SECONDS} s, got: it serves by the old ones{lines}")


def renewed(now, before):
    return any(pid not in before for pid in now) and all(pid not in before or ENDING in now[pid] for pid in now)


def workers(leader):
    """Titles of a process's children, by PID."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                parent = int(file.read().rpartition(")")[2].split()[1])
            if parent == leader:
                with open(f"/proc/{entry}/cmdline", encoding="utf-8", errors="replace") as file:
                    found[int(entry)] = file.read()
        except (OSError, ValueError, IndexError):
            continue
    return found
