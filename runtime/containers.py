"""What apply.py does for containers: their files, and the removal of ours that nobody knows any more."""

import http.client
import json
import os
import shlex
import socket
import sys
from urllib.parse import quote

from host import Refused, filled, read, remove, sha256, write
from reload import hang_up, try_file, workers

DEFAULT_HOST = "unix:///var/run/docker.sock"
OWNER = "engineroom.owner"
# Above the longest stop grace that the engine is asked for here.
ANSWER_SECONDS = 180
STOP_SECONDS = 10


# Files --------------------------------------------------------------------------------------------------------------


def start_files(plan, text):
    """Writes a container's files. Any user may read them, and none but the owner comes to where they lie."""
    directory, home = plan["directory"], plan["home"]
    for path, mode in ((parent(parent(home)), 0o711), (parent(home), 0o711), (home, 0o711), (parent(directory), 0o700), (directory, 0o755)):
        os.makedirs(path, exist_ok=True)
        os.chmod(path, mode)
    values = json.loads(sys.stdin.read() or "{}")
    texts = {file["path"]: filled(file["content"], values) for file in plan["files"]}
    if plan["env"]:
        lines = (f"export {name}={shlex.quote(filled(value, values))}\n" for name, value in plan["env"].items())
        texts["env.sh"] = "".join(lines)
    mark = f"{parent(directory)}/installed.json"
    runs = living(plan) if "reload" in plan else None
    if runs:
        try_reload(plan, texts, runs)
    remove(mark)
    for name in os.listdir(directory):
        if name not in texts:
            remove(f"{directory}/{name}")
    changed = [name for name, content in texts.items() if write(f"{directory}/{name}", content, 0o444)]
    if runs and changed:
        hang_up(plan["service"], leader(runs), lambda: ask("POST", f"/containers/{runs['Id']}/kill?signal=HUP"))
    # So that whoever quotes the log knows what to leave out.
    write(f"{parent(directory)}/launch.json", json.dumps({"secrets": sorted(values.values())}))
    files = {f"{directory}/{name}": sha256(read(f"{directory}/{name}")) for name in texts}
    write(mark, json.dumps({"plan": sha256(text), "files": files}))


def living(plan):
    """The service's container as the engine tells of it, where it runs: the files are there when a new one starts."""
    noted = json.loads(read(f"{plan['home']}/container.json") or "{}")
    if "id" not in noted:
        return None
    status, found = ask("GET", f"/containers/{noted['id']}/json")
    return found if status == 200 and found["State"]["Status"] == "running" and leader(found) else None


def leader(container):
    """The engine's init stands above the program."""
    return next(iter(workers(container["State"]["Pid"])), None)


def try_reload(plan, texts, container):
    def run(argv):
        _, made = ask("POST", f"/containers/{container['Id']}/exec", {"Cmd": argv, "AttachStdout": True, "AttachStderr": True, "Tty": True})
        _, output = ask("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": True})
        _, ended = ask("GET", f"/exec/{made['Id']}/json")
        return ended["ExitCode"], output or ""

    file = plan["reload"]["file"]
    try_file(plan["service"], plan["reload"], plan["directory"], texts[file], run)


def stop_files(plan, _text):
    from shutil import rmtree

    rmtree(parent(plan["directory"]), ignore_errors=True)
    for path in (plan["home"], parent(plan["home"])):
        try:
            os.rmdir(path)
        except OSError:
            return


def parent(path):
    return os.path.dirname(path)


# Network ------------------------------------------------------------------------------------------------------------


def start_network(plan):
    """Makes the stack's network, unless it is there. Gives its id."""
    _, found = own_network(plan)
    if found:
        return found["Id"]
    wanted = {
        "Name": plan["name"],
        # Otherwise the engine makes a second one of this name.
        "CheckDuplicate": True,
        "Driver": "bridge",
        "IPAM": {"Config": [{"Subnet": plan["subnet"], "Gateway": plan["gateway"]}]},
        "Labels": plan["labels"],
    }
    return ask("POST", "/networks/create", wanted)[1]["Id"]


def stop_network(plan):
    """Removes the stack's network, unless a container that is not the stack's is connected to it."""
    path, found = own_network(plan)
    if not found:
        return
    others = sorted(one["Name"] for one in (found.get("Containers") or {}).values())
    if others:
        fix = "; ".join(f"docker network disconnect {plan['name']} {other}" for other in others)
        raise Refused(f"network {plan['name']}: expected no container on it any more, got {', '.join(others)}. Fix: {fix}")
    ask("DELETE", path)


def own_network(plan):
    """Where it is asked for, and what is there."""
    path = f"/networks/{quote(plan['name'])}"
    status, found = ask("GET", path)
    if status == 404:
        return path, None
    wanted, owner = plan["labels"][OWNER], (found.get("Labels") or {}).get(OWNER, "somebody else")
    if owner != wanted:
        fix = f"docker network rm {plan['name']}, if nobody needs it"
        raise Refused(f"network {plan['name']}: expected that of {wanted}, got that of {owner}. Fix: {fix}")
    return path, found


# Containers ---------------------------------------------------------------------------------------------------------


def sweep(plan, known):
    """Removes containers that have a name and the mark of this stack and are not the ones that were noted.

    A run that was killed leaves such, and so does whoever makes one of ours anew; the name would be taken.
    `known` is false where Pulumi's state knows none at all.
    """
    for service, name in plan["containers"].items():
        status, found = ask("GET", f"/containers/{quote(name)}/json")
        if status == 404 or (found["Config"].get("Labels") or {}).get(OWNER) != plan["owner"]:
            continue
        if known and noted_id(plan, service) == found["Id"]:
            continue
        take_away(found)


def displace(plan):
    """A service that is no container any more: the one of before has its port, and is to go first."""
    noted = noted_id(plan, plan["service"])
    if noted is None:
        return
    status, found = ask("GET", f"/containers/{noted}/json")
    if status != 404 and (found["Config"].get("Labels") or {}).get(OWNER) == plan["owner"]:
        take_away(found)


def noted_id(plan, service):
    """The container that was proven last; None where there was none, or where the note is damaged."""
    try:
        return json.loads(read(f"{plan['containersDir']}/{service}/container.json") or "{}").get("id")
    except ValueError:
        return None


def take_away(found):
    """With its volumes that have no name: nobody would find them again."""
    ask("POST", f"/containers/{found['Id']}/stop?t={STOP_SECONDS}")
    ask("DELETE", f"/containers/{found['Id']}?force=1&v=1")


def ask(method, path, body=None):
    """Status and answer of the engine, a text where it is no JSON; a refusal other than 404 ends us."""
    connection = Connection()
    try:
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
    except OSError as error:
        raise Refused(f"{host()}: expected the Docker engine to answer, got: {error}. Fix: see `docker info`") from None
    finally:
        connection.close()
    answer = answer_in(text)
    if response.status >= 400 and response.status != 404:
        reason = answer.get("message", response.status) if isinstance(answer, dict) else answer
        raise Refused(f"Docker engine, {method} {path}: expected success, got: {reason}")
    return response.status, answer


def answer_in(text):
    try:
        return json.loads(text) if text.strip() else {}
    except ValueError:
        return text.decode(errors="replace")


def host():
    return os.environ.get("DOCKER_HOST") or DEFAULT_HOST


class Connection(http.client.HTTPConnection):
    def __init__(self):
        scheme, _, rest = host().partition("://")
        name, _, port = ("localhost", "", "") if scheme == "unix" else rest.rstrip("/").partition(":")
        super().__init__(name, int(port or 2375), timeout=ANSWER_SECONDS)
        self._socket_path = rest if scheme == "unix" else None

    def connect(self):
        if self._socket_path is None:
            super().connect()
            return
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)
