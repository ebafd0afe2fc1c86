"""runtime/launch.py: series of crashes, start records, gates, its end with its parent, what it becomes.

Does not prove how supervisord treats it.
"""

import json
import os
import socket
import subprocess
import sys
import time
import unittest

from support import RUNTIME, HostTest, until
from support import read as text_of

import launch


def start_at(*times):
    return [{"at": at, "pid": 1} for at in times]


class CrashSeries(unittest.TestCase):
    def series(self, records, now=1000.0):
        return launch.crash_series(records, now)

    def test_no_start_is_no_series(self):
        self.assertEqual(self.series([]), 0)

    def test_starts_close_to_each_other_and_to_now_count(self):
        self.assertEqual(self.series(start_at(940, 965, 990)), 3)

    def test_a_long_run_before_now_ends_the_series(self):
        self.assertEqual(self.series(start_at(940, 965)), 0)

    def test_a_gap_further_back_ends_it_there(self):
        self.assertEqual(self.series(start_at(100, 110, 985, 995)), 2)

    def test_the_gap_itself_still_belongs_to_it(self):
        self.assertEqual(self.series(start_at(1000 - launch.CRASH_GAP_SECONDS)), 1)

    def test_a_reset_begins_anew(self):
        self.assertEqual(self.series([*start_at(980, 985), {"reset": 986}, *start_at(990)]), 1)

    def test_having_given_up_is_no_start(self):
        self.assertEqual(self.series([*start_at(990), {"gaveUp": 991, "starts": 6}]), 1)


class Records(HostTest):
    def test_none_without_a_file(self):
        self.assertEqual(launch.read_records(self.path("starts.jsonl")), [])

    def test_a_line_that_was_cut_off_is_no_record(self):
        with open(self.path("starts.jsonl"), "w", encoding="utf-8") as file:
            file.write('{"at": 1}\n{"at": 2')
        self.assertEqual(launch.read_records(self.path("starts.jsonl")), [{"at": 1}])

    def test_only_the_last_ones_are_kept(self):
        path = self.path("starts.jsonl")
        for at in range(launch.KEPT_RECORDS + 30):
            launch.append(path, {"at": at})
        records = launch.read_records(path)
        self.assertEqual(len(records), launch.KEPT_RECORDS + 1)
        self.assertEqual([records[0]["at"], records[-1]["at"]], [29, launch.KEPT_RECORDS + 29])

    def test_no_temporary_file_stays(self):
        launch.append(self.path("starts.jsonl"), {"at": 1})
        self.assertEqual(os.listdir(self.dir), ["starts.jsonl"])


class Gates(HostTest):
    def test_a_file_opens_a_gate_by_being_there(self):
        gate = {"file": self.path("done.json")}
        self.assertFalse(launch.is_open(gate))
        with open(gate["file"], "w", encoding="utf-8"):
            pass
        self.assertTrue(launch.is_open(gate))

    def test_a_port_opens_a_gate_by_accepting(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            gate = {"port": {"host": "127.0.0.1", "port": server.getsockname()[1]}}
            self.assertTrue(launch.is_open(gate))
        self.assertFalse(launch.is_open(gate))


class Launch(HostTest):
    """The real program, as supervisord would start it."""

    def plan(self, **launch_plan):
        with open(self.path("launch.json"), "w", encoding="utf-8") as file:
            json.dump({"gates": [], "env": {}, "cwd": "/", "owner": "lab/test", **launch_plan}, file)

    def launch(self, **options):
        argv = [sys.executable, "-S", "-E", "-s", "-B", os.path.join(RUNTIME, "launch.py"), self.dir]
        return self.start(argv, env={"LEAKED": "1"}, **options)

    def records(self):
        return launch.read_records(self.path("starts.jsonl"))

    def test_it_becomes_the_program_with_its_own_environment_byte_for_byte(self):
        value = "%s \"q\" 'a' $HOME \\ é\ttab\nline"
        self.plan(argv=["/usr/bin/env", "-0"], env={"VALUE": value, "PATH": "/usr/bin"})
        process = self.launch(stdout=subprocess.PIPE)
        output, _ = process.communicate(timeout=30)
        variables = dict(entry.split("=", 1) for entry in output.decode().split("\0") if entry)
        [record] = self.records()
        self.assertEqual(
            variables, {"VALUE": value, "PATH": "/usr/bin", "ENGINEROOM_INSTANCE": f"lab/test {record['token']}"}
        )

    def test_arguments_arrive_byte_for_byte(self):
        words = ["%s", 'a "b"', "$x", "'", "\\", "é", ""]
        self.plan(argv=["/usr/bin/printf", "%s|", *words])
        output, _ = self.launch(stdout=subprocess.PIPE).communicate(timeout=30)
        self.assertEqual(output.decode(), "".join(f"{word}|" for word in words))

    def test_it_notes_who_it_becomes(self):
        self.plan(argv=["/bin/sleep", "600"], pidFile=self.path("x.pid"))
        process = self.launch()
        [record] = until(self.records, "a start is noted")
        self.assertEqual(record["pid"], process.pid)
        self.assertEqual(record["boot"], launch.boot_id())
        self.assertEqual(record["start"], launch.start_time(process.pid))
        until(lambda: os.path.exists(self.path("x.pid")), "a pid file")
        self.assertEqual(text_of(self.path("x.pid")), f"{process.pid}\n")

    def test_a_program_that_is_not_there(self):
        self.plan(argv=["/nowhere/program"])
        process = self.launch(stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 127)
        self.assertEqual(errors.decode(), "engineroom: /nowhere/program: No such file or directory\n")

    def test_it_starts_the_program_only_when_every_gate_is_open(self):
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            port = server.getsockname()[1]
            gates = [{"file": self.path("done.json")}, {"port": {"host": "127.0.0.1", "port": port}}]
            self.plan(argv=["/bin/sleep", "600"], gates=gates)
            self.launch()
            with open(self.path("done.json"), "w", encoding="utf-8"):
                pass
            opened = time.time()
            server.listen()
            [record] = until(self.records, "a start is noted")
        self.assertGreaterEqual(record["at"], opened)

    def test_it_ends_when_its_supervisor_has_gone(self):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        opened = {"port": {"host": "127.0.0.1", "port": server.getsockname()[1]}}
        self.plan(argv=["/bin/sleep", "600"], gates=[opened, {"file": self.path("never")}])
        # A parent that starts it, says which it is, and goes.
        script = f"{sys.executable} -S -E -s -B {RUNTIME}/launch.py {self.dir} & echo $!; read line"
        parent = self.start(["/bin/sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        child = int(parent.stdout.readline())
        self.addCleanup(end, child)
        # It has noted its parent by the time that it comes through the first gate.
        server.settimeout(30)
        server.accept()[0].close()
        parent.kill()
        parent.wait()
        until(lambda: not os.path.exists(f"/proc/{child}") or is_zombie(child), "the launcher has ended")
        self.assertEqual(self.records(), [])

    def killed_parent(self, child):
        """A start whose main process was killed, and left a child of this program."""
        self.plan(argv=["/bin/sh", "-c", f"{child} & exec sleep 600"], env={"PATH": "/usr/bin:/bin"})
        process = self.launch(start_new_session=True)
        until(lambda: self.records() and len(self.members(process.pid)) == 2, "both processes run")
        process.kill()
        process.wait()
        [left] = self.members(process.pid)
        self.addCleanup(end, left)
        return left

    def members(self, group):
        found = subprocess.run(["pgrep", "-g", str(group)], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def test_it_ends_what_a_killed_program_left_behind(self):
        left = self.killed_parent("sleep 600")
        self.launch()
        until(lambda: len(self.records()) == 2, "the next start is noted")
        self.assertFalse(os.path.exists(f"/proc/{left}") and not is_zombie(left))

    def test_it_leaves_alone_whom_another_start_or_owner_brought(self):
        left = self.killed_parent("sleep 600")
        [record] = self.records()
        for other in ({**record, "token": "0" * 32}, {**record, "boot": "another"}):
            launch.end_leftovers([other], "lab/test")
        launch.end_leftovers([record], "lab/other")
        self.assertFalse(is_zombie(left))
        self.assertEqual(launch.leftovers([record], "lab/test"), [left])

    def test_it_kills_a_leftover_that_does_not_end(self):
        grace = launch.LEFTOVER_GRACE_SECONDS
        self.addCleanup(setattr, launch, "LEFTOVER_GRACE_SECONDS", grace)
        launch.LEFTOVER_GRACE_SECONDS = 0.2
        ready = self.path("ready")
        ignores = f"import signal, time; signal.signal(15, signal.SIG_IGN); open('{ready}', 'w'); time.sleep(600)"
        left = self.killed_parent(f'{sys.executable} -c "{ignores}"')
        until(lambda: os.path.exists(ready), "it ignores SIGTERM")
        launch.end_leftovers(self.records(), "lab/test")
        self.assertFalse(os.path.exists(f"/proc/{left}") and not is_zombie(left))

    def test_it_gives_up_after_a_series_of_crashes(self):
        self.plan(argv=["/bin/true"])
        now = time.time()
        for back in range(len(launch.BACKOFF_SECONDS), 0, -1):
            launch.append(self.path("starts.jsonl"), {"at": now - back, "pid": 1})
        process = self.launch(stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, launch.GAVE_UP)
        self.assertEqual(errors.decode(), "engineroom: gave up after 6 starts that ended at once\n")
        last = self.records()[-1]
        self.assertEqual(last["starts"], 6)
        self.assertAlmostEqual(last["gaveUp"], time.time(), delta=30)

    def test_it_waits_longer_before_each_start_of_a_series(self):
        self.plan(argv=["/bin/true"])
        launch.append(self.path("starts.jsonl"), {"at": time.time(), "pid": 1})
        begun = time.time()
        self.launch().wait(30)
        self.assertGreaterEqual(self.records()[-1]["at"] - begun, launch.BACKOFF_SECONDS[1])
        self.assertEqual(launch.BACKOFF_SECONDS, sorted(launch.BACKOFF_SECONDS))


def end(pid):
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


if __name__ == "__main__":
    unittest.main()
