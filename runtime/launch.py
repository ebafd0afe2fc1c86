"""Becomes one service: waits for its dependencies, notes the start, then replaces itself by the program.

Started by supervisord with the service's directory as the one argument. Stands alone (it is copied beside the stack's
state), and runs on a bare interpreter: Python because values go through unquoted and unexpanded, byte for byte.
"""

import json
import os
import signal
import socket
import sys
import time

GATE_LIMIT_SECONDS = 600
GATE_STEP_SECONDS = 0.1
# A start that follows the one before by less than this belongs to the same series of crashes.
CRASH_GAP_SECONDS = 30
# Seconds to wait before each start of a series; after the last one the service counts as failed.
BACKOFF_SECONDS = [0, 0.5, 1, 2, 4, 8]
GAVE_UP = 78
KEPT_RECORDS = 100
# What the children of a program that was killed have to end by themselves.
LEFTOVER_GRACE_SECONDS = 10


def main():
    home = sys.argv[1]
    with open(os.path.join(home, "launch.json"), encoding="utf-8") as file:
        launch = json.load(file)
    parent = os.getppid()
    for gate in launch["gates"]:
        wait_for(gate, parent)
    records = os.path.join(home, "starts.jsonl")
    end_leftovers(read_records(records), launch["owner"])
    series = crash_series(read_records(records), time.time())
    if series >= len(BACKOFF_SECONDS):
        append(records, {"gaveUp": time.time(), "starts": series})
        print(f"engineroom: gave up after {series} starts that ended at once", file=sys.stderr, flush=True)
        sys.exit(GAVE_UP)
    time.sleep(BACKOFF_SECONDS[series])
    end_with(parent)
    token = os.urandom(16).hex()
    pid = os.getpid()
    append(
        records,
        {"boot": boot_id(), "pid": pid, "start": start_time(pid), "token": token, "at": time.time()},
    )
    if "pidFile" in launch:
        replace(launch["pidFile"], f"{pid}\n")
    environment = {**launch["env"], "ENGINEROOM_INSTANCE": f"{launch['owner']} {token}"}
    os.chdir(launch["cwd"])
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvpe(launch["argv"][0], launch["argv"], environment)
    except OSError as error:
        print(f"engineroom: {launch['argv'][0]}: {error.strerror}", file=sys.stderr, flush=True)
        sys.exit(127)


def wait_for(gate, parent):
    """A start of all services at once, as after a reboot, must not look like crashes."""
    deadline = time.monotonic() + GATE_LIMIT_SECONDS
    while not is_open(gate) and time.monotonic() < deadline:
        end_with(parent)
        time.sleep(GATE_STEP_SECONDS)


def end_with(parent):
    """Without its supervisord a start must not happen: the next supervisord makes one of its own."""
    if os.getppid() != parent:
        sys.exit(1)


def is_open(gate):
    if "file" in gate:
        return os.path.exists(gate["file"])
    try:
        socket.create_connection((gate["port"]["host"], gate["port"]["port"]), timeout=1).close()
    except OSError:
        return False
    return True


def end_leftovers(records, owner):
    """Ends the children that earlier starts left behind: a program that was killed could not, and they go on working, or
    hold memory that the next one needs."""
    for number, seconds in ((signal.SIGTERM, LEFTOVER_GRACE_SECONDS), (signal.SIGKILL, 1)):
        for pid in leftovers(records, owner):
            send(pid, number)
        deadline = time.monotonic() + seconds
        while leftovers(records, owner) and time.monotonic() < deadline:
            time.sleep(GATE_STEP_SECONDS)


def leftovers(records, owner):
    """Processes that prove ours: in the group of a recorded start, whose number is not given out again while a member
    lives, and with its token in their environment."""
    boot = boot_id()
    tokens = {
        record["pid"]: f"ENGINEROOM_INSTANCE={owner} {record['token']}".encode()
        for record in records
        if "token" in record and record["boot"] == boot
    }
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            state, _, group = stat_fields(entry)[:3]
            token = tokens.get(int(group))
            if token is None or state in "ZX":
                continue
            with open(f"/proc/{entry}/environ", "rb") as file:
                if token in file.read().split(b"\0"):
                    found.append(int(entry))
        except OSError:
            continue
    return found


def send(pid, number):
    """Through a pidfd, so that a PID taken over meanwhile by a stranger gets nothing."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)


def crash_series(records, now):
    """How many starts, each soon after the one before, lead up to `now`; a reset by `up` begins anew."""
    starts = []
    for record in records:
        if "reset" in record:
            starts = []
        elif "at" in record:
            starts.append(record["at"])
    series = 0
    following = now
    for at in reversed(starts):
        if following - at > CRASH_GAP_SECONDS:
            break
        series += 1
        following = at
    return series


def read_records(path):
    try:
        with open(path, encoding="utf-8") as file:
            return [json.loads(line) for line in file if line.endswith("\n")]
    except FileNotFoundError:
        return []


def append(path, record):
    lines = [*read_records(path)[-KEPT_RECORDS:], record]
    replace(path, "".join(json.dumps(line) + "\n" for line in lines))


def replace(path, text):
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def boot_id():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def start_time(pid):
    """Field 22 of /proc/PID/stat, in clock ticks since boot."""
    return int(stat_fields(pid)[19])


def stat_fields(pid):
    """Those of /proc/PID/stat from the third on; the second, the command's name, may hold spaces and parentheses."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


if __name__ == "__main__":
    main()
