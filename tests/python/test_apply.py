"""runtime/apply.py: jobs and their ends, files and marks of a service, words for faults of the host.

Does not prove anything that needs a real supervisord; the end-to-end tests do.
"""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import unittest

from support import RUNTIME, HostTest, until
from support import read as text_of

import apply
import host

APPLY = os.path.join(RUNTIME, "apply.py")
CANARY = "p%s'\"$ w\\é"


class ApplyTest(HostTest):
    def plan(self, **changes):
        stack = self.path("stack")
        return {
            "owner": "lab/test",
            "projectDir": self.dir,
            "stackDir": stack,
            "servicesDir": f"{stack}/services",
            "logsDir": f"{stack}/logs",
            "dataDir": f"{stack}/data",
            "containersDir": self.path("containers"),
            "runDir": self.path("run"),
            "socket": self.path("run/supervisor.sock"),
            "service": "web",
            "files": [],
            "directories": [],
            "launch": {"argv": ["/bin/true"], "cwd": "/", "env": {}, "gates": []},
            **changes,
        }

    def job(self, script, required=True, timeout=30_000, data=None, **changes):
        return self.plan(
            launch={"argv": ["/bin/sh", "-c", script], "cwd": "/", "env": {"PATH": "/usr/bin:/bin"}, "gates": []},
            job={
                "required": required,
                "timeoutMs": timeout,
                "logFile": self.path("stack/logs/web.log"),
                "doneFile": self.path("stack/services/web/done.json"),
                "data": data or {},
            },
            **changes,
        )

    def run_apply(self, plan, what, verb, secrets=None):
        return subprocess.run(
            [sys.executable, "-S", "-E", "-s", "-B", APPLY, what, verb],
            env={"PLAN": json.dumps(plan), "LEAKED_BY_THE_SHELL": "1"},
            input=json.dumps(secrets or {}),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def done_mark(self):
        path = self.path("stack/services/web/done.json")
        return json.loads(text_of(path)) if os.path.exists(path) else None


class Job(ApplyTest):
    def test_success_prints_one_token_and_leaves_the_mark(self):
        plan = self.job("echo worked", data={"db": self.path("id"), "gone": self.path("nowhere")})
        with open(self.path("id"), "w", encoding="utf-8") as file:
            file.write("abc\n")
        first, second = (self.run_apply(plan, "job", "start") for _ in range(2))
        self.assertEqual((first.returncode, first.stderr), (0, ""))
        self.assertRegex(first.stdout, r"^[0-9a-f]{32}\n$")
        self.assertNotEqual(first.stdout, second.stdout)
        mark = self.done_mark()
        self.assertEqual(mark["plan"], hashlib.sha256(json.dumps(plan).encode()).hexdigest())
        self.assertEqual(mark["data"], {"db": "abc", "gone": ""})
        self.assertEqual(text_of(self.path("stack/logs/web.log")), "worked\nworked\n")

    def test_failure_shows_the_last_lines_and_leaves_no_mark(self):
        self.run_apply(self.job("true"), "job", "start")
        self.assertIsNotNone(self.done_mark())
        result = self.run_apply(self.job("seq 1 30; exit 3"), "job", "start")
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        lines = result.stderr.splitlines()
        log = self.path("stack/logs/web.log")
        self.assertEqual(lines[0], f"web: expected success, got: it ended with exit code 3. Last lines of {log}:")
        self.assertEqual(lines[1:], [f"    {number}" for number in range(11, 31)])
        self.assertIsNone(self.done_mark())

    def test_failure_of_one_that_is_not_required_holds_nothing_up(self):
        result = self.run_apply(self.job("exit 3", required=False), "job", "start")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r"^[0-9a-f]{32}\n$")
        self.assertIsNone(self.done_mark())

    def test_one_that_takes_too_long_is_ended_with_all_that_it_started(self):
        result = self.run_apply(self.job("sleep 600 & echo $! > pid; wait", timeout=1000), "job", "start")
        self.assertEqual(result.returncode, 1)
        self.assertIn("got: it still ran after 1 s.", result.stderr)

    def test_a_program_that_is_not_there(self):
        plan = self.job("")
        plan["launch"]["argv"] = ["/nowhere/program"]
        result = self.run_apply(plan, "job", "start")
        self.assertEqual(result.returncode, 1)
        self.assertIn("ended with exit code 127", result.stderr)
        self.assertIn("    /nowhere/program: No such file or directory", result.stderr)

    def test_it_sees_its_own_variables_and_its_secrets_and_nothing_else(self):
        plan = self.job("env > $OUT; printf %s \"$SECRET\" > $OUT.secret")
        plan["launch"]["env"].update(
            {"OUT": [self.path("env")], "SECRET": ["<", {"secret": "s", "as": "plain"}, ">"], "PATH": ["/usr/bin:/bin"]}
        )
        result = self.run_apply(plan, "job", "start", {"s": CANARY})
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(text_of(self.path("env.secret")), f"<{CANARY}>")
        names = {line.split("=")[0] for line in text_of(self.path("env")).splitlines()}
        self.assertEqual(names - {"PWD", "SHLVL", "_", "OLDPWD"}, {"OUT", "SECRET", "PATH", "ENGINEROOM_INSTANCE"})

    def test_forgetting_it_leaves_nothing(self):
        self.run_apply(self.job("true"), "job", "start")
        self.assertEqual(self.run_apply(self.job("true"), "job", "stop").returncode, 0)
        self.assertFalse(os.path.exists(self.path("stack/services/web")))
        self.assertEqual(self.run_apply(self.job("true"), "job", "stop").returncode, 0)

    def test_it_ends_with_apply_whatever_ends_that(self):
        plan = self.job(f"echo $$ > {self.path('pid')}; exec sleep 600")
        process = self.start(
            [sys.executable, "-S", "-E", "-s", "-B", APPLY, "job", "start"], env={"PLAN": json.dumps(plan)}
        )
        pid = int(until(lambda: os.path.exists(self.path("pid")) and text_of(self.path("pid")), "the job runs"))
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: not host.is_alive(pid), "the job has ended")


class Install(ApplyTest):
    """What a service finds on the disk."""

    def install(self, plan, secrets=None):
        apply.make_directories(plan)
        return apply.install(plan, secrets or {})

    def planned(self, content):
        return self.plan(
            files=[{"path": "x.conf", "mode": "0640", "content": content}],
            directories=[self.path("stack/data/web")],
            launch={"argv": ["a"], "cwd": "/", "env": {"S": [{"secret": "s", "as": "plain"}]}, "gates": []},
        )

    def test_files_directories_and_what_to_launch(self):
        plan = self.planned(["password '", {"secret": "s", "as": "sql"}, "'"])
        paths, changed = self.install(plan, {"s": CANARY})
        home = self.path("stack/services/web")
        self.assertEqual(paths, [f"{home}/x.conf", f"{home}/launch.json"])
        self.assertEqual(changed, paths)
        self.assertEqual(text_of(f"{home}/x.conf"), "password '" + CANARY.replace("'", "''") + "'")
        self.assertEqual(stat.S_IMODE(os.stat(f"{home}/x.conf").st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(os.stat(f"{home}/launch.json").st_mode), 0o600)
        launched = json.loads(text_of(f"{home}/launch.json"))
        self.assertEqual((launched["owner"], launched["env"]), ("lab/test", {"S": CANARY}))
        self.assertTrue(os.path.isdir(self.path("stack/data/web")))

    def test_once_more_changes_nothing(self):
        plan = self.planned(["x"])
        self.install(plan, {"s": "1"})
        self.assertEqual(self.install(plan, {"s": "1"})[1], [])
        self.assertEqual(self.install(plan, {"s": "2"})[1], [self.path("stack/services/web/launch.json")])

    def test_the_mark_knows_every_file_as_it_was_written(self):
        plan = self.planned(["x"])
        paths, _ = self.install(plan, {"s": "1"})
        apply.mark(plan, "the plan", paths)
        mark = json.loads(text_of(self.path("stack/services/web/installed.json")))
        self.assertEqual(mark["plan"], hashlib.sha256(b"the plan").hexdigest())
        self.assertEqual(mark["files"], {path: hashlib.sha256(text_of(path).encode()).hexdigest() for path in paths})


class Faults(ApplyTest):
    """Each is one line with exit code 1, and no traceback."""

    def assert_refused(self, result, words):
        self.assertEqual((result.returncode, result.stdout), (1, ""))
        self.assertIn(words, result.stderr)
        self.assertNotIn("Traceback", result.stderr)

    def test_a_service_without_its_supervisord(self):
        result = self.run_apply(self.plan(program="[program:web]\n"), "service", "start")
        self.assert_refused(result, f"{self.path('run/supervisor.sock')}: expected supervisord of lab/test")
        self.assertEqual(len(result.stderr.splitlines()), 1)

    def test_a_place_that_cannot_be_made(self):
        with open(self.path("file"), "w", encoding="utf-8"):
            pass
        plan = self.job("true", stackDir=self.path("file/stack"))
        self.assert_refused(self.run_apply(plan, "job", "start"), f"{self.path('file')}")

    def test_a_secret_that_sql_cannot_hold_is_not_shown(self):
        plan = self.job("true", files=[{"path": "x", "mode": "0600", "content": [{"secret": "s", "as": "sql"}]}])
        result = self.run_apply(plan, "job", "start", {"s": "hunter2\nhunter3"})
        self.assert_refused(result, "expected one line, got several")
        self.assertNotIn("hunter", result.stderr)

    def test_stopping_takes_its_pid_file_and_nobody_elses(self):
        for pid, stays in (("41", False), ("42", True)):
            home, pid_file = self.path("stack/services/web"), self.path("web.pid")
            os.makedirs(home)
            host.write(f"{home}/launch.json", json.dumps({"pidFile": pid_file}))
            host.write(f"{home}/starts.jsonl", json.dumps({"boot": "b", "pid": 41, "start": 1, "token": "t", "at": 1}) + "\n")
            host.write(pid_file, f"{pid}\n")
            result = self.run_apply(self.plan(), "service", "stop")
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual((os.path.exists(pid_file), os.path.exists(home)), (stays, False))

    def test_stopping_what_never_was(self):
        result = self.run_apply(self.plan(), "service", "stop")
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_stopping_a_stack_that_never_was(self):
        result = self.run_apply(self.plan(), "supervisor", "stop")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual([name for name in os.listdir(self.dir) if name != "stack"], [])


class Logs(ApplyTest):
    def test_a_directory_for_logs_is_made(self):
        logs = self.path("logs/of/mine")
        self.run_apply(self.plan(logDirectories=[logs]), "service", "start")
        self.assertTrue(os.path.isdir(logs))

    def test_one_that_cannot_be_made(self):
        with open(self.path("file"), "w", encoding="utf-8"):
            pass
        ended = self.run_apply(self.plan(logDirectories=[self.path("file/logs")]), "service", "start")
        self.assertEqual(1, ended.returncode)
        self.assertIn("expected to make this directory for a log, got: Not a directory", ended.stderr)

    def test_one_in_which_nobody_may_write(self):
        # Root may write anywhere but where nothing is.
        nowhere = self.path("nowhere")
        with self.assertRaisesRegex(host.Refused, f"web: expected a directory in which user .* can write logs, got {nowhere}"):
            apply.see_log_directories(self.plan(logDirectories=[nowhere]))


class Places(ApplyTest):
    def test_the_stack_is_its_owners_alone(self):
        self.run_apply(self.job("true"), "job", "start")
        for name in ("stack", "run", "stack/services/web"):
            self.assertEqual(stat.S_IMODE(os.stat(self.path(name)).st_mode) & 0o077, 0, name)


if __name__ == "__main__":
    unittest.main()
