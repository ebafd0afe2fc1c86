"""What apply.py needs of a host: supervisord's socket, files written whole, processes proven to be ours."""

import hashlib
import json
import os
import signal
import time

from launch import boot_id, read_records, send, start_time, stat_fields
from rpc import Fault, NotSupervisord, Supervisor


class Refused(Exception):
    """Ends apply.py with its text and no traceback: the fault is in the world, not in the program."""


# Fault of supervisord's XML-RPC interface (supervisor/xmlrpc.py): it stops its programs, then itself.
SHUTDOWN_STATE = 6
ENDING = "one that is shutting down"
STRANGER = "a program that is no supervisord"
IDENTITY_SECONDS = 10


def identity(path):
    """Who answers on supervisord's socket, also ENDING or STRANGER; None where nobody does."""
    try:
        return Supervisor(path, IDENTITY_SECONDS).getIdentification()
    except (FileNotFoundError, ConnectionError):
        return None
    except (OSError, Fault, NotSupervisord) as error:
        return ENDING if getattr(error, "code", None) == SHUTDOWN_STATE else STRANGER


# Secrets ------------------------------------------------------------------------------------------------------------


def url_part(value):
    # Needed by few, and longer to import than to run.
    from urllib.parse import quote

    return quote(value, safe="")


def sql_literal(value):
    if "\n" in value or "\0" in value:
        raise Refused("a password for Postgres: expected one line, got several. Fix: choose another secret")
    return value.replace("'", "''")


def mosquitto_hash(value):
    """PBKDF2 as of mosquitto_passwd. The salt follows from the value, so that the same plan writes the same file."""
    from base64 import b64encode

    rounds = 101
    salt = hashlib.sha256(f"mosquitto {value}".encode()).digest()[:12]
    key = hashlib.pbkdf2_hmac("sha512", value.encode(), salt, rounds)
    return f"$7${rounds}${b64encode(salt).decode()}${b64encode(key).decode()}"


ENCODINGS = {
    "plain": str,
    "url": url_part,
    "sql": sql_literal,
    "sha256": lambda value: hashlib.sha256(value.encode()).hexdigest(),
    "mosquitto": mosquitto_hash,
}


def filled(text, values):
    """The text with each hole filled; stack/text.ts describes its form."""
    return "".join(part if isinstance(part, str) else ENCODINGS[part["as"]](values[part["secret"]]) for part in text)


def redacted(text, secrets):
    """The text without any of the secrets, in clear or encoded. The longest goes first: one may lie inside another."""
    from urllib.parse import quote

    forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""), json.dumps(secret)[1:-1])}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, "(secret)")
    return text


# Files --------------------------------------------------------------------------------------------------------------


def write(path, text, mode=0o600):
    """Writes the file whole or not at all; says whether that changed anything."""
    content = text.encode()
    try:
        with open(path, "rb") as file:
            if file.read() == content and os.stat(path).st_mode & 0o777 == mode:
                return False
    except FileNotFoundError:
        pass
    temporary = f"{path}.{os.getpid()}.tmp"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except OSError as error:
        remove(temporary)
        raise Refused(f"{path}: expected to write it, got: {error.strerror}. Fix: see `df` and `ls -ld` of its directory") from None
    return True


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def tail(path, lines=20):
    """The last lines of a log."""
    try:
        with open(path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - 16_384))
            return [line.decode(errors="replace") for line in file.read().splitlines()[-lines:]]
    except FileNotFoundError:
        return []


# Processes ----------------------------------------------------------------------------------------------------------


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read().split(b"\0")
    except OSError:
        return []


def is_alive(pid):
    """A zombie has ended; only its parent has not noticed."""
    try:
        return stat_fields(pid)[0] not in "ZX"
    except OSError:
        return False


def instance(record, owner):
    return f"ENGINEROOM_INSTANCE={owner} {record['token']}".encode()


def group_of(pid):
    """Process group, field 5 of /proc/PID/stat."""
    return int(stat_fields(pid)[2])


def lives(record):
    """Whether the recorded process itself still does."""
    try:
        return start_time(record["pid"]) == record["start"] and is_alive(record["pid"])
    except (OSError, ValueError):
        return False


def survivors(record, owner):
    """What is left of a recorded start: the process itself (boot, PID, start time and token match) and its children.

    A child proves ours by its process group, which only descendants can join and whose number is not given out again
    while a member lives, and by the token in its environment. nginx and Valkey overwrite their environment: while the
    process itself lives, its group and start time say enough, since no other can have had them.
    """
    if "pid" not in record or record["boot"] != boot_id():
        return []
    leads = lives(record)
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        pid = int(entry)
        try:
            if group_of(pid) != record["pid"] or not is_alive(pid):
                continue
            if start_time(pid) < record["start"] or (pid == record["pid"] and start_time(pid) != record["start"]):
                continue
        except (OSError, ValueError):
            continue
        if leads or instance(record, owner) in environment_of(pid):
            found.append(pid)
    return found


def end_by_proof(home, owner, grace_seconds):
    """Ends what an earlier supervisord started for a service and left behind; a process that does not prove ours stays."""
    records = read_records(os.path.join(home, "starts.jsonl"))
    ended = []
    for record in records:
        members = survivors(record, owner)
        for pid in members:
            send(pid, signal.SIGTERM)
        if members and not wait_until(lambda: not survivors(record, owner), grace_seconds):
            for pid in survivors(record, owner):
                send(pid, signal.SIGKILL)
            wait_until(lambda: not survivors(record, owner), 5)
        ended += members
    return ended


def wait_until(condition, seconds, step=0.05):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(step)
    return True
