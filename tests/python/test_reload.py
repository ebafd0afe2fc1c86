"""runtime/reload.py: what a refusal says, when a reload is over. A real nginx is in tests/integration/runtime."""

import os
import unittest

from support import HostTest, read, until

import reload
from host import Refused

RELOAD = {"file": "a.conf", "test": ["test"]}


class TryFile(HostTest):
    def attempt(self, content, code, output=""):
        """The names that were there while the program looked."""
        seen = []

        def run(argv):
            self.assertEqual(argv, ["test"])
            seen.extend(sorted(os.listdir(self.dir)))
            return code, output

        reload.try_file("edge", RELOAD, self.dir, content, run)
        return seen

    def test_the_program_sees_the_new_file_beside_the_old_one_and_then_it_is_gone(self):
        with open(self.path("a.conf"), "w", encoding="utf-8") as file:
            file.write("old")
        self.assertEqual(self.attempt("new", 0), ["a.conf", "a.conf.new"])
        self.assertEqual(os.listdir(self.dir), ["a.conf"])
        self.assertEqual(read(self.path("a.conf")), "old")

    def test_nothing_is_asked_where_nothing_changed(self):
        with open(self.path("a.conf"), "w", encoding="utf-8") as file:
            file.write("same")
        self.assertEqual(self.attempt("same", 1), [])

    def test_a_refusal_has_the_programs_words_and_leaves_nothing(self):
        output = f'2026/01/01 00:00:00 [emerg] 7#8: unknown "x" in {self.dir}/a.conf.new:3\nconfiguration file test failed\n'
        with self.assertRaises(Refused) as refused:
            self.attempt("new", 1, output)
        self.assertEqual(
            str(refused.exception),
            f'edge: expected its program to take the new a.conf, got: unknown "x" in {self.dir}/a.conf:3. '
            "Fix: correct its settings; what ran before still runs",
        )
        self.assertEqual(os.listdir(self.dir), [])


class Words(unittest.TestCase):
    def test_without_an_error_of_nginx_it_is_the_last_line(self):
        self.assertEqual(reload.words("one\ntwo\n\n"), "two")
        self.assertEqual(reload.words(""), "no word")


class Renewed(unittest.TestCase):
    def test_it_is_over_when_new_ones_work_and_old_ones_only_end(self):
        old = {1: "nginx: worker process", 2: "nginx: worker process"}
        ending = "nginx: worker process is shutting down"
        for now, over in (
            (old, False),
            ({}, False),
            ({**old, 3: "nginx: worker process"}, False),
            ({1: ending, 2: ending}, False),
            ({1: ending, 2: "nginx: worker process", 3: "nginx: worker process"}, False),
            ({1: ending, 3: "nginx: worker process"}, True),
            ({3: "nginx: worker process"}, True),
        ):
            self.assertEqual(reload.renewed(now, old), over, now)


class Workers(HostTest):
    def test_they_are_the_children_alone(self):
        child = self.sleeper()
        found = until(lambda: reload.workers(os.getpid()), "a child")
        self.assertIn(child.pid, found)
        self.assertNotIn(os.getpid(), found)
        self.assertEqual(found[child.pid], "/bin/sleep\x00600\x00")
