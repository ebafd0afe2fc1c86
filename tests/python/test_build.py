"""runtime/build.py: made once, whole or not at all, and the words of what went wrong. No package is downloaded."""

import json
import os
import subprocess
import sys
import unittest

from support import RUNTIME, HostTest
from support import read as text_of


class BuildTest(HostTest):
    def setUp(self):
        super().setUp()
        os.makedirs(self.path("source"))

    def source(self, **files):
        for name, text in files.items():
            path = self.path(f"source/{name.replace('__', '/')}")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path.replace("_json", ".json").replace("_txt", ".txt"), "w", encoding="utf-8") as file:
                file.write(text)

    def build(self, kind, **more):
        plan = {
            "key": "app-0123456789ab",
            "kind": kind,
            "source": self.path("source"),
            "target": self.path("cache/builds/app-0123456789ab"),
            "python": sys.executable,
            **more,
        }
        return subprocess.run(
            [sys.executable, "-S", "-E", "-s", "-B", os.path.join(RUNTIME, "build.py")],
            env={**os.environ, "PLAN": json.dumps(plan), "PULUMI_CONFIG_PASSPHRASE": "hunter2"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def target(self, name):
        return self.path(f"cache/builds/app-0123456789ab/{name}")


class Node(BuildTest):
    def package(self, script):
        manifest = {"name": "app", "version": "1.0.0", "scripts": {"build": script}}
        lock = {"name": "app", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": manifest}}
        self.source(package_json=json.dumps(manifest))
        with open(self.path("source/package-lock.json"), "w", encoding="utf-8") as file:
            json.dump(lock, file)

    def test_pages_are_built_once(self):
        self.package("mkdir dist && echo hello > dist/index.html")
        first = self.build("node")
        self.assertEqual((first.returncode, first.stdout), (0, "app-0123456789ab\n"), first.stderr)
        self.assertEqual(text_of(self.target("dist/index.html")), "hello\n")
        made = os.stat(self.target("dist/index.html"))
        self.assertEqual(self.build("node").returncode, 0)
        self.assertEqual(os.stat(self.target("dist/index.html")).st_ino, made.st_ino)

    def test_what_is_made_from_the_source_is_left_behind(self):
        self.package("mkdir dist && ls -A > dist/list")
        for name in ("node_modules/x", "dist/old", ".git/x", "__pycache__/x", "kept/x"):
            os.makedirs(self.path(f"source/{name}"))
        self.assertEqual(self.build("node").returncode, 0)
        kept = text_of(self.target("dist/list")).split()
        self.assertEqual(kept, ["dist", "kept", "package-lock.json", "package.json"])

    def test_a_build_sees_no_pulumi_settings(self):
        self.package("mkdir dist && env > dist/env")
        self.assertEqual(self.build("node").returncode, 0)
        self.assertNotIn("hunter2", text_of(self.target("dist/env")))

    def test_a_build_that_fails_shows_its_last_lines_and_is_made_anew_next_time(self):
        self.package("echo the reason; exit 3")
        failed = self.build("node")
        self.assertEqual((failed.returncode, failed.stdout), (1, ""))
        self.assertIn("npm run build: expected success, got exit code 3:\n", failed.stderr)
        self.assertIn("    the reason\n", failed.stderr)
        self.assertNotIn("Traceback", failed.stderr)
        self.assertFalse(os.path.exists(self.target(".done")))
        self.package("mkdir dist && echo hello > dist/index.html")
        self.assertEqual(self.build("node").returncode, 0)

    def test_a_build_that_writes_elsewhere_is_told_so(self):
        self.package("mkdir out")
        failed = self.build("node")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("expected `npm run build` to write dist, got none. Fix:", failed.stderr)


class Python(BuildTest):
    def test_applications_with_the_same_requirements_share_an_environment(self):
        self.source(requirements_txt="# nothing\n")
        built = self.build("python")
        self.assertEqual((built.returncode, built.stdout), (0, "app-0123456789ab\n"), built.stderr)
        environment = os.path.realpath(self.target(".venv"))
        self.assertEqual(os.path.dirname(environment), os.path.realpath(self.path("cache/environments")))
        interpreter = subprocess.run(
            [self.target(".venv/bin/python"), "-c", "import sys; print(sys.prefix)"],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual(os.path.realpath(interpreter.stdout.strip()), environment)

    def test_a_requirement_that_cannot_be_read_is_told(self):
        self.source(requirements_txt="=== nonsense\n")
        failed = self.build("python")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("expected success, got exit code", failed.stderr)
        self.assertNotIn("Traceback", failed.stderr)
        self.assertFalse(os.path.exists(self.target(".done")))


class Environment(BuildTest):
    def test_it_is_the_one_of_the_requirements_without_a_copy_of_the_source(self):
        self.source(requirements_txt="# nothing\n", main_py="pass\n")
        built = self.build("environment")
        self.assertEqual((built.returncode, built.stdout), (0, "app-0123456789ab\n"), built.stderr)
        self.assertEqual(sorted(os.listdir(self.target(""))), [".done", ".venv"])
        environment = os.path.realpath(self.target(".venv"))
        self.assertEqual(os.path.dirname(environment), os.path.realpath(self.path("cache/environments")))


class Image(BuildTest):
    """The directory that the Docker engine builds from; the engine's part is proven end to end."""

    def context(self):
        root = self.target("context")
        return sorted(
            os.path.relpath(os.path.join(directory, name), root) for directory, _, names in os.walk(root) for name in names
        )

    def test_the_context_is_the_source_with_our_dockerfile(self):
        self.source(requirements_txt="x\n", app__main="pass\n")
        built = self.build("image", dockerfile="FROM python\n")
        self.assertEqual((built.returncode, built.stdout, built.stderr), (0, "app-0123456789ab\n", ""))
        self.assertEqual(self.context(), ["Dockerfile", "app/main", "requirements.txt"])
        self.assertEqual(text_of(self.target("context/Dockerfile")), "FROM python\n")
        self.assertTrue(os.path.exists(self.target(".done")))

    def test_a_dockerfile_of_its_own_stays_as_it_is(self):
        self.source(Dockerfile="FROM scratch\n")
        self.assertEqual(self.build("image", dockerfile="").returncode, 0)
        self.assertEqual(text_of(self.target("context/Dockerfile")), "FROM scratch\n")

    def test_what_is_made_from_the_source_is_left_behind(self):
        self.source(requirements_txt="")
        for name in ("node_modules", "dist", ".git", "__pycache__", ".venv", "kept"):
            os.makedirs(self.path(f"source/{name}"))
            with open(self.path(f"source/{name}/x"), "w", encoding="utf-8"):
                pass
        self.assertEqual(self.build("image", dockerfile="FROM python\n").returncode, 0)
        self.assertEqual(self.context(), ["Dockerfile", "kept/x", "requirements.txt"])

    def test_it_is_made_once_and_anew_where_it_is_not_whole(self):
        self.source(requirements_txt="")
        self.build("image", dockerfile="FROM python\n")
        made = os.stat(self.target("context/Dockerfile")).st_ino
        self.build("image", dockerfile="FROM python\n")
        self.assertEqual(os.stat(self.target("context/Dockerfile")).st_ino, made)
        os.unlink(self.target(".done"))
        with open(self.target("context/rubbish"), "w", encoding="utf-8"):
            pass
        self.build("image", dockerfile="FROM python\n")
        self.assertEqual(self.context(), ["Dockerfile", "requirements.txt"])

    def test_a_source_that_is_gone_is_named(self):
        os.rmdir(self.path("source"))
        failed = self.build("image", dockerfile="FROM python\n")
        self.assertEqual(failed.returncode, 1)
        self.assertIn(f"{self.path('source')}: expected it to work, got: No such file or directory", failed.stderr)
        self.assertNotIn("Traceback", failed.stderr)


if __name__ == "__main__":
    unittest.main()
