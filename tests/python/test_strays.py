"""runtime/strays.py: ends what recorded starts left behind, and nobody else. Run as a program, as the command line does."""

import json
import os
import signal
import subprocess
import sys
import unittest

from support import RUNTIME, HostTest

import launch

OWNER = "lab/test"


class Strays(HostTest):
    def ours(self, service="worker", token="t1"):
        """A process with its start on record."""
        process = self.sleeper({"ENGINEROOM_INSTANCE": f"{OWNER} {token}"})
        home = self.path(service)
        os.makedirs(home, exist_ok=True)
        start = {"boot": launch.boot_id(), "pid": process.pid, "start": launch.start_time(process.pid), "token": token}
        launch.append(f"{home}/starts.jsonl", {**start, "at": 0})
        return process

    def run_strays(self, supervised=(), services=("worker",)):
        plan = {
            "owner": OWNER,
            "servicesDir": self.dir,
            "supervised": list(supervised),
            "services": {name: 20 for name in services},
        }
        run = subprocess.run(
            [sys.executable, "-S", "-E", "-s", "-B", f"{RUNTIME}/strays.py"],
            env={"PLAN": json.dumps(plan)},
            capture_output=True,
            text=True,
            check=True,
        )
        return json.loads(run.stdout)

    def test_it_ends_what_is_on_record(self):
        process = self.ours()
        self.assertEqual(self.run_strays(), {"worker": [process.pid]})
        self.assertEqual(process.wait(30), -signal.SIGTERM)

    def test_what_supervisord_runs_stays(self):
        stray, supervised = self.ours(token="t1"), self.ours(token="t2")
        self.assertEqual(self.run_strays([supervised.pid]), {"worker": [stray.pid]})
        self.assertIsNone(supervised.poll())

    def test_who_copied_the_environment_stays(self):
        ours = self.ours()
        stranger = self.sleeper({"ENGINEROOM_INSTANCE": f"{OWNER} t1", "ENGINEROOM_SERVICE": "worker"})
        self.assertEqual(self.run_strays(), {"worker": [ours.pid]})
        self.assertIsNone(stranger.poll())

    def test_other_services_stay(self):
        process = self.ours("other")
        self.assertEqual(self.run_strays(), {"worker": []})
        self.assertIsNone(process.poll())

    def test_the_first_process_alone_is_told_and_the_rest_is_killed_after_its_grace(self):
        """A shell that ends its child itself, as a worker ends its own: the signal is not for the child."""
        script = "trap 'echo told; kill -KILL $!; exit 0' TERM; /bin/sh -c 'trap \"echo child told\" TERM; while :; do sleep 0.1; done' & echo up; wait"
        environment = {"ENGINEROOM_INSTANCE": f"{OWNER} t1", "PATH": "/usr/bin:/bin"}
        process = self.start(["/bin/sh", "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "up\n")
        os.makedirs(self.path("worker"))
        start = {"boot": launch.boot_id(), "pid": process.pid, "start": launch.start_time(process.pid), "token": "t1"}
        launch.append(self.path("worker/starts.jsonl"), {**start, "at": 0})
        self.assertIn(process.pid, self.run_strays()["worker"])
        self.assertEqual(process.wait(30), 0)
        self.assertEqual(process.stdout.read(), "told\n")


if __name__ == "__main__":
    unittest.main()
