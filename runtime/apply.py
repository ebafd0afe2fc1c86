"""Carries one plan out on this host, and takes it back: `apply.py WHAT start|stop`.

WHAT is supervisor, service or job, or for containers files, network or sweep. The plan is JSON in the variable PLAN, secrets are JSON on standard input.
Safe to repeat. Prints one token for each time that something was applied, and nothing else; exit code 1 and one line on
standard error mean a fault of ours or of the host. A program that starts and then fails is not our fault: the check
finds it, because a create that fails would leave it running and unknown to the state.
"""

import json
import os
import pwd
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from host import (  # noqa: E402
    ENDING,
    Refused,
    end_by_proof,
    filled,
    identity,
    is_alive,
    read,
    read_records,
    redacted,
    remove,
    sha256,
    tail,
    wait_until,
    write,
)
from launch import append  # noqa: E402
from rpc import Fault, NotSupervisord, Supervisor  # noqa: E402

# What only some actions need is imported there: each start counts, and most of one is imports.

SUPERVISOR_START_SECONDS = 15
# Above the longest stop grace of any one program; supervisord itself kills what takes longer than its own.
STOP_SECONDS = 180
ORPHAN_GRACE_SECONDS = 20
# Faults of supervisord's XML-RPC interface (supervisor/xmlrpc.py).
BAD_NAME, ALREADY_ADDED, ALREADY_STARTED, NOT_RUNNING, CANT_REREAD = 10, 90, 60, 70, 92


def main():
    what, verb = sys.argv[1:]
    text = os.environ["PLAN"]
    plan = json.loads(text)
    if what in CONTAINER_ACTIONS:
        os.umask(0o022)
        CONTAINER_ACTIONS[what](verb, plan, text)
        return
    # Directories that stacks share let others pass, and show nothing.
    os.umask(0o066)
    make_places(plan)
    os.umask(0o077)
    if (what, verb) == ("service", "start") and os.path.exists(f"{plan['containersDir']}/{plan['service']}/container.json"):
        # Now: the account that we become does not command the engine.
        from containers import displace

        displace(plan)
    # Now: to the account that we become, a checkout of mode 0700 is closed.
    if what == "job":
        import bounded  # noqa: F401
    if "reload" in plan:
        import reload  # noqa: F401
    become(plan.get("account"))
    ACTIONS[what, verb](plan, text)


def make_places(plan):
    """The stack's own directories, for the account that its services run as."""
    user = pwd.getpwnam(plan["account"]) if "account" in plan else None
    for path in (plan["stackDir"], plan["runDir"]):
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            os.makedirs(path, mode=0o700, exist_ok=True)
        except OSError as error:
            raise Refused(f"{path}: expected to make this directory, got: {error.strerror}") from None
        if user and os.stat(path).st_uid != user.pw_uid:
            os.chown(path, user.pw_uid, user.pw_gid)
    for path in plan.get("logDirectories", []):
        if os.path.lexists(path):
            continue
        try:
            os.makedirs(path)
        except OSError as error:
            raise Refused(f"{path}: expected to make this directory for a log, got: {error.strerror}") from None
        if user:
            os.chown(path, user.pw_uid, user.pw_gid)


def become(account):
    """Everything below the stack's directory belongs to the service account, so that nothing there runs as root."""
    if account is None or os.getuid() != 0:
        return
    user = pwd.getpwnam(account)
    os.initgroups(account, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)


def done():
    print(os.urandom(16).hex())


# supervisord --------------------------------------------------------------------------------------------------------


def start_supervisor(plan, _text):
    for path in (plan["servicesDir"], plan["logsDir"], plan["dataDir"], f"{plan['stackDir']}/programs"):
        os.makedirs(path, exist_ok=True)
    config = f"{plan['stackDir']}/supervisord.conf"
    changed = write(config, plan["config"])
    write(f"{plan['stackDir']}/launch.py", plan["launcher"])
    answer = settled_identity(plan["socket"])
    if answer not in (None, plan["owner"]):
        raise Refused(
            f"{plan['socket']}: expected supervisord of {plan['owner']}, got that of {answer}. "
            "Fix: end it where it was started"
        )
    if answer and changed:
        shut_down(plan)
        answer = None
    if not answer:
        for service in os.listdir(plan["servicesDir"]):
            end_by_proof(f"{plan['servicesDir']}/{service}", plan["owner"], ORPHAN_GRACE_SECONDS)
            # Nobody is to blame for what ended with supervisord: crashes count anew.
            append(f"{plan['servicesDir']}/{service}/starts.jsonl", {"reset": time.time()})
        launch_supervisor(plan, config)
    done()


def launch_supervisor(plan, config):
    import subprocess

    log = f"{plan['stackDir']}/supervisord.out"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [plan["supervisord"], "--nodaemon", "-c", config],
            cwd="/",
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "ENGINEROOM_INSTANCE": plan["owner"]},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # A Ctrl-C in the terminal that runs `up` is not meant for the services.
            start_new_session=True,
        )
    up = wait_until(lambda: identity(plan["socket"]) or process.poll() is not None, SUPERVISOR_START_SECONDS)
    if not up or process.poll() is not None:
        raise Refused("supervisord: expected it to answer, got:\n" + "\n".join(tail(log)))


def settled_identity(path):
    """One that is on its way out is waited for: an interrupted destroy may have sent it there."""
    wait_until(lambda: identity(path) != ENDING, STOP_SECONDS)
    return identity(path)


def shut_down(plan):
    """Ends our supervisord and, by it, its programs."""
    try:
        pid = Supervisor(plan["socket"]).getPID()
        Supervisor(plan["socket"]).shutdown()
    except (FileNotFoundError, ConnectionError):
        return
    wait_until(lambda: not is_alive(pid), STOP_SECONDS)


def stop_supervisor(plan, _text):
    if settled_identity(plan["socket"]) == plan["owner"]:
        shut_down(plan)
    if os.path.isdir(plan["servicesDir"]):
        for service in os.listdir(plan["servicesDir"]):
            end_by_proof(f"{plan['servicesDir']}/{service}", plan["owner"], ORPHAN_GRACE_SECONDS)
    for path in (plan["servicesDir"], plan["logsDir"], f"{plan['stackDir']}/programs"):
        remove_tree(path)
    if identity(plan["socket"]) is None:
        remove_tree(plan["runDir"])
    for name in os.listdir(plan["stackDir"]):
        if name.startswith(("supervisord.", "launch.py")):
            remove(f"{plan['stackDir']}/{name}")
    remove_empty(plan["dataDir"], plan["stackDir"])


def remove_tree(path):
    from shutil import rmtree

    rmtree(path, ignore_errors=True)


def remove_empty(*paths):
    for path in paths:
        try:
            os.rmdir(path)
        except OSError:
            return


# Services -----------------------------------------------------------------------------------------------------------


def start_service(plan, text):
    name = plan["service"]
    if identity(plan["socket"]) != plan["owner"]:
        raise Refused(f"{plan['socket']}: expected supervisord of {plan['owner']}. Fix: run `up` again")
    see_log_directories(plan)
    values = secrets_given()
    make_directories(plan)
    if "reload" in plan:
        try_reload(plan, values)
    remove(mark_of(plan))
    paths, changed = install(plan, values)
    program = f"{plan['stackDir']}/programs/{name}.conf"
    write(program, plan["program"])
    bring_up(Supervisor(plan["socket"]), plan, changed)
    mark(plan, text, [*paths, program])
    done()


def see_log_directories(plan):
    """supervisord would only say that it could not start the program."""
    for path in plan.get("logDirectories", []):
        if os.access(path, os.W_OK | os.X_OK):
            continue
        user = pwd.getpwuid(os.getuid()).pw_name
        raise Refused(
            f"{plan['service']}: expected a directory in which user {user} can write logs, got {path}. "
            f"Fix: set logFile and errorLog to a directory that `up` may make or that belongs to {user}"
        )


def bring_up(rpc, plan, changed):
    name = plan["service"]
    added, altered, removed = reread(rpc)
    if name in altered:
        stop_program(rpc, name)
        rpc.removeProcessGroup(name)
    if name in added or name in altered:
        reset(plan)
        ignoring(ALREADY_ADDED, rpc.addProcessGroup, name)
    elif changed == reloadable(plan) and reloaded(rpc, plan):
        return
    elif changed or rpc.getProcessInfo(name)["statename"] not in ("RUNNING", "STARTING"):
        stop_program(rpc, name)
        reset(plan)
        ignoring(ALREADY_STARTED, rpc.startProcess, name, False)


def reloadable(plan):
    return [f"{home_of(plan)}/{plan['reload']['file']}"] if "reload" in plan else None


def try_reload(plan, values):
    import subprocess

    from reload import try_file

    environment = {name: filled(value, values) for name, value in plan["launch"]["env"].items()}

    def run(argv):
        ran = subprocess.run(
            argv, cwd=home_of(plan), env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False
        )
        return ran.returncode, (ran.stdout + ran.stderr).decode(errors="replace")

    [content] = [file["content"] for file in plan["files"] if file["path"] == plan["reload"]["file"]]
    try_file(plan["service"], plan["reload"], home_of(plan), filled(content, values), run)


def reloaded(rpc, plan):
    """Whether it took its new file while it runs; one that still waits for a dependency has nobody who would."""
    from reload import hang_up, workers

    info = rpc.getProcessInfo(plan["service"])
    if info["statename"] != "RUNNING" or not workers(info["pid"]):
        return False
    # supervisord signals its own child and no other.
    hang_up(plan["service"], info["pid"], lambda: rpc.signalProcess(plan["service"], "HUP"), plan["reload"]["logFile"])
    return True


def reset(plan):
    append(f"{home_of(plan)}/starts.jsonl", {"reset": time.time()})


def reread(rpc):
    try:
        return rpc.reloadConfig()[0]
    except Fault as fault:
        if fault.code == CANT_REREAD:
            raise Refused(f"supervisord: expected to read its programs, got: {fault.text}") from None
        raise


def stop_program(rpc, name):
    """Returns when it has ended. supervisord's own wait looks once a second; each question has it look at once."""
    try:
        rpc.stopProcessGroup(name, False)
        wait_until(lambda: rpc.getProcessInfo(name)["statename"] != "STOPPING", STOP_SECONDS)
    except Fault as fault:
        if fault.code not in (BAD_NAME, NOT_RUNNING):
            raise


def ignoring(code, call, *arguments):
    try:
        call(*arguments)
    except Fault as fault:
        if fault.code != code:
            raise


def secrets_given():
    return json.loads(sys.stdin.read() or "{}")


def make_directories(plan):
    for path in [home_of(plan), *plan["directories"]]:
        os.makedirs(path, exist_ok=True)


def install(plan, values):
    """Writes the service's files; which there are, and which changed."""
    home = home_of(plan)
    written = {
        f"{home}/{file['path']}": (filled(file["content"], values), int(file["mode"], 8)) for file in plan["files"]
    }
    launch = {
        **plan["launch"],
        "owner": plan["owner"],
        "env": {name: filled(value, values) for name, value in plan["launch"]["env"].items()},
        # So that whoever quotes the log knows what to leave out.
        "secrets": sorted(values.values()),
    }
    written[f"{home}/launch.json"] = (json.dumps(launch), 0o600)
    changed = [path for path, (content, mode) in written.items() if write(path, content, mode)]
    return list(written), changed


def home_of(plan):
    return f"{plan['servicesDir']}/{plan['service']}"


def mark_of(plan):
    return f"{home_of(plan)}/installed.json"


def mark(plan, text, paths):
    """Written last: without it, an apply began and did not end."""
    files = {path: sha256(read(path)) for path in paths}
    write(mark_of(plan), json.dumps({"plan": sha256(text), "files": files}))


def stop_service(plan, _text):
    name = plan["service"]
    remove(f"{plan['stackDir']}/programs/{name}.conf")
    if identity(plan["socket"]) == plan["owner"]:
        rpc = Supervisor(plan["socket"])
        stop_program(rpc, name)
        ignoring(BAD_NAME, rpc.removeProcessGroup, name)
    end_by_proof(home_of(plan), plan["owner"], ORPHAN_GRACE_SECONDS)
    remove_pid_file(home_of(plan))
    for path in [home_of(plan), *plan.get("disposable", [])]:
        remove_tree(path)


def remove_pid_file(home):
    """That of a process that is gone; somebody else may have written another one there since."""
    path = json.loads(read(f"{home}/launch.json") or "{}").get("pidFile")
    pids = {f"{record['pid']}\n" for record in read_records(f"{home}/starts.jsonl") if "pid" in record}
    if path and read(path) in pids:
        remove(path)


# Jobs ---------------------------------------------------------------------------------------------------------------


def run_job(plan, text):
    from bounded import run_bounded

    job, launch = plan["job"], plan["launch"]
    remove(job["doneFile"])
    make_directories(plan)
    install(plan, secrets_given())
    os.makedirs(os.path.dirname(job["logFile"]), exist_ok=True)
    with open(f"{home_of(plan)}/launch.json", encoding="utf-8") as file:
        settings = json.load(file)
    environment = {**settings["env"], "ENGINEROOM_INSTANCE": plan["owner"]}
    with open(job["logFile"], "ab") as output:
        code = run_bounded(launch["argv"], launch["cwd"], environment, output, job["timeoutMs"] / 1000)
    if code != 0 and not job["required"]:
        # Without its mark, the next preview says that it has not succeeded yet.
        done()
        return
    if code != 0:
        cause = f"still ran after {job['timeoutMs'] / 1000:g} s" if code is None else f"ended with exit code {code}"
        lines = redacted("\n".join(f"    {line}" for line in tail(job["logFile"])), settings["secrets"])
        raise Refused(f"{plan['service']}: expected success, got: it {cause}. Last lines of {job['logFile']}:\n{lines}")
    data = {service: (read(path) or "").strip() for service, path in job["data"].items()}
    write(job["doneFile"], json.dumps({"plan": sha256(text), "data": data, "at": time.time()}))
    done()


def forget_job(plan, _text):
    remove_tree(home_of(plan))


# Containers ---------------------------------------------------------------------------------------------------------


def apply_files(verb, plan, text):
    from containers import start_files, stop_files

    if verb == "stop":
        stop_files(plan, text)
        return
    start_files(plan, text)
    done()


def apply_sweep(verb, plan, _text):
    from containers import sweep

    if verb == "stop":
        return
    take_down(plan)
    sweep(plan, known=verb != "create")
    done()


def take_down(plan):
    """A service that has become a container: its program of before has the port, and is to go first."""
    for name in plan["containers"]:
        if os.path.exists(f"{plan['servicesDir']}/{name}/installed.json"):
            stop_service({**plan, "service": name}, "")


def apply_network(verb, plan, _text):
    from containers import start_network, stop_network

    if verb == "stop":
        stop_network(plan)
        return
    # Not a token but its id: another network is another container for all that stand in it.
    print(start_network(plan))


CONTAINER_ACTIONS = {"files": apply_files, "network": apply_network, "sweep": apply_sweep}

ACTIONS = {
    ("supervisor", "start"): start_supervisor,
    ("supervisor", "stop"): stop_supervisor,
    ("service", "start"): start_service,
    ("service", "stop"): stop_service,
    ("job", "start"): run_job,
    ("job", "stop"): forget_job,
}

if __name__ == "__main__":
    try:
        main()
    except Refused as error:
        sys.exit(str(error))
    except (Fault, NotSupervisord) as error:
        sys.exit(f"supervisord: expected it to obey, got: {error}")
    except OSError as error:
        sys.exit(f"{error.filename or 'host'}: expected it to work, got: {error.strerror or error}")
