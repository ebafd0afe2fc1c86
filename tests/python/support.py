"""What the tests of runtime/*.py share: the modules' directory on the path, a real process to look at, a deadline."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

RUNTIME = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "runtime")
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.abspath(RUNTIME))

DEADLINE_SECONDS = 30


def until(condition, what):
    """Polls until the condition holds; its value. The test fails after the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"after {DEADLINE_SECONDS} s still not: {what}")
        time.sleep(0.01)


class HostTest(unittest.TestCase):
    """A directory and processes of its own, all gone afterwards."""

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="er-python-")
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def start(self, argv, **options):
        """A process in a group of its own, that ends with the test."""
        process = subprocess.Popen(
            argv,
            start_new_session=options.pop("start_new_session", True),
            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, **options},
        )
        self.addCleanup(finish, process)
        return process

    def sleeper(self, environment=None, **options):
        """A program that stays, once it has become itself: its environment can be read from /proc."""
        process = self.start(["/bin/sleep", "600"], env=environment or {}, cwd="/", **options)
        until(lambda: command_of(process.pid) == b"/bin/sleep\x00600\x00", "the sleeper runs")
        return process


def finish(process):
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()
