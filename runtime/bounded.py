"""Runs a program that ends, with all of its group, when its time is up or when we end, whatever ends us."""

import ctypes
import os
import select
import signal
import subprocess

# PR_SET_PDEATHSIG of prctl(2).
SIGNAL_AT_PARENTS_DEATH = 1
NOT_STARTED = 127


def run_bounded(argv, cwd, environment, output, seconds):
    """Exit code of the program, as a shell gives it; None when its time was up. Both its streams go to `output`.

    Ctrl-C reaches us as SIGKILL, which cannot be passed on: so the program's parent is a process that hears of our end,
    and that ends the group. A death signal of the program's own would spare its children.
    """
    us = os.getpid()
    keeper = os.fork()
    if keeper == 0:
        code = 1
        try:
            code = keep(us, argv, cwd, environment, output)
        finally:
            os._exit(code)
    ended = has_ended(keeper, seconds)
    if not ended:
        os.kill(keeper, signal.SIGTERM)
    code = os.waitstatus_to_exitcode(os.waitpid(keeper, 0)[1])
    return code if ended else None


def has_ended(pid, seconds):
    descriptor = os.pidfd_open(pid)
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def keep(parent, argv, cwd, environment, output):
    os.setsid()
    # Whoever reads what our parent prints must not wait for us.
    for stream in range(3):
        os.dup2(os.open(os.devnull, os.O_RDWR), stream)
    started, ending = [], []

    def end_group(*_):
        ending.append(True)
        for process in started:
            # Not reaped yet, so its number is nobody else's.
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)

    signal.signal(signal.SIGTERM, end_group)
    ctypes.CDLL(None).prctl(SIGNAL_AT_PARENTS_DEATH, signal.SIGTERM)
    if os.getppid() != parent:
        return 1
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    except OSError as error:
        os.write(output.fileno(), f"{argv[0]}: {error.strerror}\n".encode())
        return NOT_STARTED
    started.append(process)
    if ending:
        end_group()
    code = process.wait()
    return code if code >= 0 else 128 - code
