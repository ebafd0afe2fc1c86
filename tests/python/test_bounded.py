"""runtime/bounded.py: a program ends with its time, and with whoever runs it, children and all."""

import os
import signal
import sys

import bounded
from host import is_alive
from support import RUNTIME, HostTest, read, until


class RunBounded(HostTest):
    def run_here(self, script, seconds=30):
        with open(self.path("log"), "ab") as output:
            return bounded.run_bounded(["/bin/sh", "-c", script], self.dir, {"PATH": os.environ["PATH"]}, output, seconds)

    def test_it_gives_the_exit_code_and_both_streams(self):
        self.assertEqual(self.run_here("echo out; echo err >&2; exit 7"), 7)
        self.assertEqual(read(self.path("log")), "out\nerr\n")

    def test_a_signal_shows_as_in_a_shell(self):
        self.assertEqual(self.run_here("kill -9 $$"), 137)

    def test_what_cannot_be_started_is_127(self):
        with open(self.path("log"), "ab") as output:
            self.assertEqual(bounded.run_bounded(["/no/such"], "/", {}, output, 30), 127)
        self.assertEqual(read(self.path("log")), "/no/such: No such file or directory\n")

    def test_its_time_ends_the_children_too(self):
        self.assertIsNone(self.run_here("sleep 600 & echo $! > child; wait", 0.5))
        child = int(read(self.path("child")))
        until(lambda: not is_alive(child), "the child ends")

    def test_a_sigkill_of_whoever_runs_it_ends_program_and_children(self):
        script = (
            "import sys; sys.path.insert(0, sys.argv[1]); import bounded\n"
            "bounded.run_bounded(['/bin/sh', '-c', 'sleep 600 & echo $! > child; echo $$ > program; wait'],"
            " sys.argv[2], {'PATH': '/usr/bin:/bin'}, open('/dev/null', 'wb'), 600)"
        )
        runner = self.start([sys.executable, "-S", "-E", "-c", script, os.path.abspath(RUNTIME), self.dir])
        until(lambda: os.path.exists(self.path("program")) and read(self.path("program")), "the program runs")
        pids = [int(read(self.path(name))) for name in ("program", "child")]
        os.killpg(runner.pid, signal.SIGKILL)
        for pid in pids:
            until(lambda pid=pid: not is_alive(pid), "program and child end")
