"""runtime/containers.py: a container's files and who may read them; the sweep, against a real engine where one answers.

Does not prove what supervisord and containers hand over to each other; the end-to-end tests do.
"""

import hashlib
import json
import os
import socket
import stat
import subprocess
import sys
import unittest
from urllib.parse import quote

from support import RUNTIME, HostTest
from support import read as text_of

import containers

APPLY = os.path.join(RUNTIME, "apply.py")


def mode_of(path):
    return oct(stat.S_IMODE(os.stat(path).st_mode))


class Apply(HostTest):
    def apply(self, plan, what, verb, secrets=None, **env):
        return subprocess.run(
            [sys.executable, "-S", "-E", "-s", "-B", APPLY, what, verb],
            env={"PLAN": json.dumps(plan), **env},
            input=json.dumps(secrets or {}),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


class Files(Apply):
    def plan(self, **changes):
        home = self.path("state/containers/dev/db")
        return {
            "service": "db",
            "home": home,
            "directory": f"{home}/private/files",
            "files": [
                {"path": "conf", "mode": "0600", "content": ["a = 1\n"]},
                {"path": "password", "mode": "0600", "content": [{"secret": "pw", "as": "plain"}]},
            ],
            "env": {},
            **changes,
        }

    def start(self, plan, secrets=None):
        done = self.apply(plan, "files", "start", {"pw": "hunter2"} if secrets is None else secrets)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def files(self):
        directory = self.plan()["directory"]
        return {name: text_of(f"{directory}/{name}") for name in sorted(os.listdir(directory))}

    def test_anybody_may_read_them_and_nobody_else_comes_to_them(self):
        self.addCleanup(os.umask, os.umask(0o077))
        plan = self.plan()
        self.start(plan)
        self.assertEqual(self.files(), {"conf": "a = 1\n", "password": "hunter2"})
        modes = [mode_of(f"{plan['directory']}/{name}") for name in self.files()]
        self.assertEqual(modes, ["0o444", "0o444"])
        home = plan["home"]
        above = {path: mode_of(path) for path in (os.path.dirname(home), home, f"{home}/private", plan["directory"])}
        self.assertEqual(list(above.values()), ["0o711", "0o711", "0o700", "0o755"])

    def test_a_repeated_run_prints_a_token_of_its_own_and_leaves_the_files_alone(self):
        plan = self.plan()
        first = self.start(plan)
        made = os.stat(f"{plan['directory']}/conf").st_ino
        second = self.start(plan)
        self.assertRegex(first, r"^[0-9a-f]{32}\n$")
        self.assertRegex(second, r"^[0-9a-f]{32}\n$")
        self.assertNotEqual(first, second)
        self.assertEqual(os.stat(f"{plan['directory']}/conf").st_ino, made)

    def test_what_is_no_longer_planned_is_removed(self):
        plan = self.plan()
        self.start({**plan, "env": {"TOKEN": [{"secret": "pw", "as": "plain"}]}})
        self.assertEqual(list(self.files()), ["conf", "env.sh", "password"])
        self.start({**plan, "files": plan["files"][:1]}, secrets={})
        self.assertEqual(self.files(), {"conf": "a = 1\n"})

    def test_a_hole_is_filled_as_its_place_needs_it(self):
        content = [[{"secret": "pw", "as": form}] for form in ("plain", "url", "sql", "sha256")]
        files = [{"path": str(index), "mode": "0600", "content": text} for index, text in enumerate(content)]
        self.start(self.plan(files=files), secrets={"pw": "a'b/c"})
        digest = hashlib.sha256(b"a'b/c").hexdigest()
        self.assertEqual(list(self.files().values()), ["a'b/c", "a%27b%2Fc", "a''b/c", digest])

    def test_the_mark_tells_what_was_written_and_the_secrets_are_noted_for_who_quotes_the_log(self):
        plan = self.plan()
        self.start(plan)
        private = os.path.dirname(plan["directory"])
        mark = json.loads(text_of(f"{private}/installed.json"))
        self.assertEqual(sorted(os.path.basename(path) for path in mark["files"]), ["conf", "password"])
        self.assertRegex(mark["plan"], r"^[0-9a-f]{64}$")
        self.assertEqual(json.loads(text_of(f"{private}/launch.json")), {"secrets": ["hunter2"]})
        self.assertEqual([mode_of(f"{private}/{name}") for name in ("installed.json", "launch.json")], ["0o600"] * 2)

    def test_a_secret_that_does_not_fit_its_place_changes_nothing(self):
        plan = self.plan()
        self.start(plan)
        files = [*plan["files"], {"path": "role.sql", "mode": "0600", "content": [{"secret": "pw", "as": "sql"}]}]
        failed = self.apply(self.plan(files=files), "files", "start", {"pw": "two\nlines"})
        words = "a password for Postgres: expected one line, got several. Fix: choose another secret\n"
        self.assertEqual((failed.returncode, failed.stdout, failed.stderr), (1, "", words))
        self.assertEqual(self.files(), {"conf": "a = 1\n", "password": "hunter2"})

    def test_the_end_takes_the_files_and_leaves_the_notes_of_the_proof(self):
        plan = self.plan()
        self.start(plan)
        with open(f"{plan['home']}/container.json", "w", encoding="utf-8") as file:
            file.write("{}")
        ended = self.apply(plan, "files", "stop")
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
        self.assertEqual(os.listdir(plan["home"]), ["container.json"])

    def test_the_end_leaves_no_empty_directory_and_may_be_repeated(self):
        plan = self.plan()
        self.start(plan)
        for _ in range(2):
            self.assertEqual(self.apply(plan, "files", "stop").returncode, 0)
        self.assertEqual(os.listdir(self.path("state/containers")), [])


# The sweep ----------------------------------------------------------------------------------------------------------

HOST = containers.host()
TEST_LABEL = "engineroom.test-process"


def ask(method, path, body=None, content_type="application/json"):
    """Status and answer of the engine."""
    connection = containers.Connection()
    try:
        connection.request(method, path, body, {"content-type": content_type})
        response = connection.getresponse()
        text = response.read()
    finally:
        connection.close()
    return response.status, text


def no_engine():
    """Why there is none; None where there is one."""
    try:
        status, _ = ask("GET", "/_ping")
    except OSError as error:
        return f"no Docker engine at {HOST}: {error}"
    return None if status == 200 else f"the Docker engine at {HOST} answers {status}"


REASON = no_engine()


def image_with_sleep():
    """Any that set-up has got; they all have `sleep`."""
    _, text = ask("GET", "/images/json")
    known = ("engineroom/", "postgres", "valkey/valkey", "nginx", "python", "node")
    tags = [tag for image in json.loads(text) for tag in image["RepoTags"] or [] if tag.startswith(known)]
    return min(tags, default=None)


class WithEngine(Apply):
    OWNER = f"er-python-{os.getpid()}/dev"

    @classmethod
    def setUpClass(cls):
        for container in cls.leftovers():
            ask("DELETE", f"/containers/{container}?force=1&v=1")
        cls.image = image_with_sleep()
        if cls.image is None:
            raise unittest.SkipTest("the Docker engine has no image: ./engineroom setup --docker")

    @staticmethod
    def leftovers():
        """Containers of test processes that are gone."""
        filters = quote(json.dumps({"label": [TEST_LABEL]}))
        _, text = ask("GET", f"/containers/json?all=1&filters={filters}")
        return [c["Id"] for c in json.loads(text) if not os.path.exists(f"/proc/{c['Labels'][TEST_LABEL]}")]

    def container(self, name, owner=OWNER, start=False, volumes=None, network="none"):
        """A container of ours; it is gone after the test."""
        settings = {
            "Image": self.image,
            "Entrypoint": ["sleep"],
            "Cmd": ["600"],
            "Labels": {TEST_LABEL: str(os.getpid()), **({"engineroom.owner": owner} if owner else {})},
            "Volumes": {path: {} for path in volumes or []},
            "StopSignal": "SIGKILL",
            "HostConfig": {"NetworkMode": network},
        }
        status, text = ask("POST", f"/containers/create?name={self.name(name)}", json.dumps(settings))
        self.assertEqual(status, 201, text)
        found = json.loads(text)["Id"]
        self.addCleanup(ask, "DELETE", f"/containers/{found}?force=1&v=1")
        if start:
            status, text = ask("POST", f"/containers/{found}/start")
            self.assertEqual(status, 204, text)
        return found

    @staticmethod
    def name(name):
        return f"er-python-{os.getpid()}-{name}"


@unittest.skipIf(REASON, REASON)
class Sweep(WithEngine):
    def note(self, service, container):
        os.makedirs(self.path(f"containers/{service}"), exist_ok=True)
        with open(self.path(f"containers/{service}/container.json"), "w", encoding="utf-8") as file:
            file.write(container if container.startswith("{") else json.dumps({"id": container, "fingerprint": {}}))

    def sweep(self, verb, *services, **env):
        plan = {
            "owner": self.OWNER,
            "containersDir": self.path("containers"),
            "servicesDir": self.path("services"),
            "containers": {service: self.name(service) for service in services},
        }
        env = {"DOCKER_HOST": HOST, **env}
        return self.apply(plan, "sweep", verb, **env)

    def swept(self, verb, *services):
        done = self.sweep(verb, *services)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def exists(self, container):
        return ask("GET", f"/containers/{container}/json")[0] == 200

    def test_one_that_was_not_noted_goes(self):
        left = self.container("web")
        self.swept("update", "web", "never-made")
        self.assertFalse(self.exists(left))

    def test_one_that_was_noted_stays_while_the_state_knows_it(self):
        noted = self.container("web")
        self.note("web", noted)
        self.swept("update", "web")
        self.assertTrue(self.exists(noted))

    def test_one_that_was_noted_goes_where_the_state_is_new(self):
        noted = self.container("web")
        self.note("web", noted)
        self.swept("create", "web")
        self.assertFalse(self.exists(noted))

    def test_one_in_place_of_the_noted_goes(self):
        other = self.container("web")
        self.note("web", "0" * 64)
        self.swept("update", "web")
        self.assertFalse(self.exists(other))

    def test_a_damaged_note_is_none(self):
        left = self.container("web")
        self.note("web", '{"id": ')
        self.swept("update", "web")
        self.assertFalse(self.exists(left))

    def test_a_strangers_stays(self):
        for owner in (None, "somebody/else"):
            stranger = self.container("web", owner=owner)
            self.swept("create", "web")
            self.assertTrue(self.exists(stranger))
            ask("DELETE", f"/containers/{stranger}?force=1&v=1")

    def test_one_of_another_name_stays(self):
        other = self.container("other")
        self.swept("create", "web")
        self.assertTrue(self.exists(other))

    def test_one_that_runs_and_one_that_is_paused_go_too(self):
        running, paused = self.container("one", start=True), self.container("two", start=True)
        self.assertEqual(ask("POST", f"/containers/{paused}/pause")[0], 204)
        self.swept("update", "one", "two")
        self.assertEqual([self.exists(running), self.exists(paused)], [False, False])

    def test_volumes_without_a_name_go_with_it_and_no_other(self):
        container = self.container("web", volumes=["/somewhere"])
        _, text = ask("GET", f"/containers/{container}/json")
        (mount,) = (m for m in json.loads(text)["Mounts"] if m["Destination"] == "/somewhere")
        self.swept("update", "web")
        self.assertEqual(ask("GET", f"/volumes/{mount['Name']}")[0], 404)

    def test_the_end_removes_nothing(self):
        left = self.container("web")
        ended = self.sweep("stop", "web")
        self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
        self.assertTrue(self.exists(left))

    def test_one_before_a_process_of_the_host_is_displaced(self):
        former = self.container("web", start=True)
        self.note("web", former)
        plan = {"owner": self.OWNER, "containersDir": self.path("containers"), "service": "web"}
        containers.displace(plan)
        self.assertFalse(self.exists(former))
        containers.displace(plan)

    def test_a_strangers_is_not_displaced(self):
        stranger = self.container("web", owner="somebody/else")
        self.note("web", stranger)
        containers.displace({"owner": self.OWNER, "containersDir": self.path("containers"), "service": "web"})
        self.assertTrue(self.exists(stranger))


@unittest.skipIf(REASON, REASON)
class Network(WithEngine):
    def setUp(self):
        super().setUp()
        # Of no stack: those have 10.64.0.0/10 and up.
        self.network_name = self.name("network")
        self.addCleanup(ask, "DELETE", f"/networks/{self.network_name}")

    def network(self, verb, owner=WithEngine.OWNER):
        labels = {TEST_LABEL: str(os.getpid()), "engineroom.owner": owner}
        plan = {"name": self.network_name, "subnet": "10.55.171.0/24", "gateway": "10.55.171.1", "labels": labels}
        return self.apply(plan, "network", verb, DOCKER_HOST=HOST)

    def made(self):
        done = self.network("start")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.strip()

    def found(self):
        status, text = ask("GET", f"/networks/{self.network_name}")
        return json.loads(text) if status == 200 else None

    def test_is_made_as_planned_and_known_by_its_id(self):
        made = self.made()
        found = self.found()
        self.assertEqual((found["Id"], found["Driver"]), (made, "bridge"))
        self.assertEqual(found["IPAM"]["Config"], [{"Subnet": "10.55.171.0/24", "Gateway": "10.55.171.1"}])
        self.assertEqual(found["Labels"]["engineroom.owner"], self.OWNER)

    def test_that_is_there_stays(self):
        self.assertEqual(self.made(), self.made())

    def test_ends_and_may_end_again(self):
        self.made()
        for _ in range(2):
            ended = self.network("stop")
            self.assertEqual((ended.returncode, ended.stdout, ended.stderr), (0, "", ""))
            self.assertIsNone(self.found())

    def test_of_a_stranger_is_named_and_left_alone(self):
        self.made()
        for verb in ("start", "stop"):
            refused = self.network(verb, owner="another/dev")
            self.assertEqual(
                (refused.returncode, refused.stderr),
                (
                    1,
                    f"network {self.network_name}: expected that of another/dev, got that of {self.OWNER}. "
                    f"Fix: docker network rm {self.network_name}, if nobody needs it\n",
                ),
            )
        self.assertIsNotNone(self.found())

    def test_that_a_strangers_container_uses_stays_and_the_container_is_named(self):
        self.made()
        stranger = self.container("guest", owner=None, start=True, network=self.network_name)
        refused = self.network("stop")
        guest = self.name("guest")
        self.assertEqual(
            (refused.returncode, refused.stderr),
            (
                1,
                f"network {self.network_name}: expected no container on it any more, got {guest}. "
                f"Fix: docker network disconnect {self.network_name} {guest}\n",
            ),
        )
        self.assertIsNotNone(self.found())
        self.assertEqual(ask("DELETE", f"/containers/{stranger}?force=1")[0], 204)
        self.assertEqual(self.network("stop").returncode, 0)
        self.assertIsNone(self.found())


class Engine(Apply):
    def sweep(self, host):
        plan = {
            "owner": "lab/dev",
            "containersDir": self.path("containers"),
            "servicesDir": self.path("services"),
            "containers": {"web": "dev-web"},
        }
        return self.apply(plan, "sweep", "update", DOCKER_HOST=host)

    def test_that_does_not_answer_is_named(self):
        nowhere = f"unix://{self.path('docker.sock')}"
        for left in (False, True):
            if left:
                # A socket that a dead engine has left.
                listener = socket.socket(socket.AF_UNIX)
                listener.bind(self.path("docker.sock"))
                listener.close()
            failed = self.sweep(nowhere)
            self.assertEqual(failed.returncode, 1)
            self.assertIn(f"{nowhere}: expected the Docker engine to answer, got: ", failed.stderr)
            self.assertIn("Fix: see `docker info`", failed.stderr)
            self.assertNotIn("Traceback", failed.stderr)


if __name__ == "__main__":
    unittest.main()
