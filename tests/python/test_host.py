"""runtime/host.py: secrets in their encodings, files written whole, and whose a process is.

Does not prove the talk with supervisord.
"""

import hashlib
import os
import signal
import stat
import subprocess
import sys
import threading
import unittest
import urllib.parse

from support import HostTest, until
from support import read as text_of

import host
import launch

CANARY = "p%s'\"$ w\\é ${x}"
OWNER = "lab/test"


class Encodings(unittest.TestCase):
    def fill(self, encoding, value=CANARY):
        return host.filled(["<", {"secret": "x", "as": encoding}, ">"], {"x": value})

    def test_plain_is_itself(self):
        self.assertEqual(self.fill("plain"), f"<{CANARY}>")

    def test_url_is_percent_encoded_whole_and_comes_back(self):
        filled = self.fill("url")
        self.assertRegex(filled, r"^<[A-Za-z0-9%._~-]+>$")
        self.assertEqual(urllib.parse.unquote(filled[1:-1]), CANARY)

    def test_url_leaves_nothing_that_means_something_in_a_url(self):
        self.assertEqual(self.fill("url", "a/b:c@d?e#f&g=h+i"), "<a%2Fb%3Ac%40d%3Fe%23f%26g%3Dh%2Bi>")

    def test_sql_doubles_quotes(self):
        self.assertEqual(self.fill("sql"), f"<{CANARY.replace(chr(39), chr(39) * 2)}>")

    def test_sql_refuses_what_single_user_mode_cannot_read_and_does_not_show_it(self):
        for value in ("two\nlines", "nul\0"):
            with self.assertRaises(host.Refused) as caught:
                self.fill("sql", value)
            self.assertNotIn(value, str(caught.exception))

    def test_sha256_is_hex(self):
        self.assertEqual(self.fill("sha256"), f"<{hashlib.sha256(CANARY.encode()).hexdigest()}>")

    def test_text_without_holes_is_itself(self):
        self.assertEqual(host.filled(["a", "b"], {}), "ab")


class Write(HostTest):
    def test_it_says_whether_anything_changed(self):
        path = self.path("x")
        self.assertIs(host.write(path, "one"), True)
        self.assertIs(host.write(path, "one"), False)
        self.assertIs(host.write(path, "two"), True)
        self.assertEqual(text_of(path), "two")

    def test_an_unchanged_file_stays_the_same_file(self):
        path = self.path("x")
        host.write(path, "one")
        before = os.stat(path)
        host.write(path, "one")
        self.assertEqual(os.stat(path).st_ino, before.st_ino)

    def test_the_mode_is_exact_whatever_the_umask(self):
        before = os.umask(0o077)
        self.addCleanup(os.umask, before)
        for mode in (0o600, 0o644, 0o755):
            host.write(self.path(f"{mode:o}"), "x", mode)
            self.assertEqual(stat.S_IMODE(os.stat(self.path(f"{mode:o}")).st_mode), mode)

    def test_a_changed_mode_is_put_right(self):
        path = self.path("x")
        host.write(path, "one")
        os.chmod(path, 0o644)
        self.assertIs(host.write(path, "one"), True)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)

    def test_any_text_comes_back(self):
        host.write(self.path("x"), CANARY + "\n")
        self.assertEqual(host.read(self.path("x")), CANARY + "\n")

    def test_a_reader_sees_the_old_or_the_new_and_nothing_between(self):
        path, old, new = self.path("x"), "o" * 1_000_000, "n" * 1_000_000
        host.write(path, old)
        seen, done = set(), threading.Event()

        def look():
            while not done.is_set():
                seen.add(text_of(path))

        reader = threading.Thread(target=look)
        reader.start()
        for _ in range(20):
            host.write(path, new)
            host.write(path, old)
        done.set()
        reader.join()
        self.assertLessEqual(seen, {old, new})

    def test_a_directory_that_is_not_there_is_refused_in_words(self):
        with self.assertRaises(host.Refused) as caught:
            host.write(self.path("no/x"), "one")
        self.assertEqual(
            str(caught.exception),
            f"{self.path('no/x')}: expected to write it, got: No such file or directory. "
            "Fix: see `df` and `ls -ld` of its directory",
        )

    def test_a_full_disk_leaves_the_old_file_and_no_other(self):
        disk = self.path("disk")
        os.mkdir(disk)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, text=True, check=False
        )
        if mounted.returncode != 0:
            self.skipTest(f"no tmpfs of limited size can be mounted here: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", disk], check=True)
        path = os.path.join(disk, "x")
        host.write(path, "old")
        with self.assertRaises(host.Refused) as caught:
            host.write(path, "n" * 200_000)
        self.assertIn("No space left on device", str(caught.exception))
        self.assertEqual((os.listdir(disk), text_of(path)), (["x"], "old"))


class Tail(HostTest):
    def test_the_last_lines(self):
        with open(self.path("log"), "w", encoding="utf-8") as file:
            file.writelines(f"line {number}\n" for number in range(5000))
        self.assertEqual(host.tail(self.path("log"), 2), ["line 4998", "line 4999"])

    def test_no_log_has_none(self):
        self.assertEqual(host.tail(self.path("log")), [])

    def test_bytes_that_are_no_text_do_not_hurt(self):
        with open(self.path("log"), "wb") as file:
            file.write(b"a\xff\xfeb\n")
        self.assertEqual(host.tail(self.path("log")), ["a\ufffd\ufffdb"])


class Proof(HostTest):
    """Whose a process is: boot, PID and start time of the start itself; group and token of what it has left."""

    def environment(self, token="t1", owner=OWNER):
        return {"ENGINEROOM_INSTANCE": f"{owner} {token}"}

    def record(self, process, **changes):
        return {
            "boot": launch.boot_id(),
            "pid": process.pid,
            "start": launch.start_time(process.pid),
            "token": "t1",
            "at": 0,
            **changes,
        }

    def end(self, *records, grace=20):
        for record in records:
            launch.append(self.path("starts.jsonl"), record)
        return host.end_by_proof(self.dir, OWNER, grace)

    def assert_untouched(self, process):
        self.assertIsNone(process.poll())
        self.assertTrue(host.is_alive(process.pid))

    def test_ours_is_ended(self):
        process = self.sleeper(self.environment())
        self.assertEqual(self.end(self.record(process)), [process.pid])
        self.assertEqual(process.wait(30), -signal.SIGTERM)

    def test_one_that_ignores_the_signal_is_killed_after_its_grace(self):
        ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
        script = f"{ignore}; print('ready', flush=True); time.sleep(600)"
        process = self.start([sys.executable, "-c", script], env=self.environment(), stdout=subprocess.PIPE, text=True)
        self.assertEqual(process.stdout.readline(), "ready\n")
        self.assertEqual(self.end(self.record(process), grace=0.2), [process.pid])
        self.assertEqual(process.wait(30), -signal.SIGKILL)

    def test_what_left_the_service_in_its_own_group_stays(self):
        """A stranger who got the token with its environment, and made a group of its own."""
        ours, stranger = self.sleeper(self.environment()), self.sleeper(self.environment())
        self.assertEqual(self.end(self.record(ours)), [ours.pid])
        self.assert_untouched(stranger)

    def test_the_same_number_with_another_start_time_stays(self):
        process = self.sleeper(self.environment())
        for start in (launch.start_time(process.pid) - 1, launch.start_time(process.pid) + 1):
            self.assertEqual(self.end(self.record(process, start=start)), [])
        self.assert_untouched(process)

    def test_one_that_wrote_over_its_environment_is_ours_by_boot_number_and_start_time(self):
        process = self.sleeper({})
        self.assertEqual(self.end(self.record(process)), [process.pid])
        self.assertEqual(process.wait(30), -signal.SIGTERM)

    def test_another_boot_stays(self):
        process = self.sleeper(self.environment())
        self.assertEqual(self.end(self.record(process, boot="another")), [])
        self.assert_untouched(process)

    def test_records_of_other_kinds_mean_nobody(self):
        self.assertEqual(self.end({"reset": 1}, {"gaveUp": 2, "starts": 6}), [])

    def test_no_records_mean_nobody(self):
        self.assertEqual(host.end_by_proof(self.path("nothing"), OWNER, 1), [])

    def orphans(self, environment):
        """A child and a grandchild of a program that has died, in its group; with its record."""
        script = "sh -c 'sleep 600 & echo $!; exec sleep 600' & echo $!; wait"
        program = self.start(["/bin/sh", "-c", script], env=environment, stdout=subprocess.PIPE, text=True)
        record = self.record(program)
        family = sorted(int(program.stdout.readline()) for _ in range(2))
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
        for pid in family:
            self.addCleanup(self.kill_if_there, pid, launch.start_time(pid))
        return family, record

    def kill_if_there(self, pid, start):
        try:
            if launch.start_time(pid) == start:
                os.kill(pid, signal.SIGKILL)
        except OSError:
            pass

    def test_children_and_grandchildren_of_a_program_that_is_gone_are_ended(self):
        family, record = self.orphans({**self.environment(), "PATH": "/usr/bin:/bin"})
        self.assertEqual(sorted(self.end(record)), family)
        until(lambda: not any(host.is_alive(pid) for pid in family), "the family has ended")

    def test_what_is_left_without_our_token_stays(self):
        """The program is gone, so its number may be a stranger's group by now."""
        for environment in ({}, self.environment(token="t11"), self.environment(owner="lab/other")):
            with self.subTest(environment=environment):
                family, record = self.orphans({**environment, "PATH": "/usr/bin:/bin"})
                self.assertEqual(self.end(record), [])
                self.assertTrue(all(host.is_alive(pid) for pid in family))

    def test_a_zombie_has_ended(self):
        process = self.start(["/bin/true"])
        until(lambda: not host.is_alive(process.pid), "it is a zombie")
        self.assertIsNone(process.returncode)
        self.assertTrue(os.path.exists(f"/proc/{process.pid}"))


class Identity(HostTest):
    def test_nobody_answers_where_there_is_no_socket(self):
        self.assertIsNone(host.identity(self.path("no.sock")))


if __name__ == "__main__":
    unittest.main()
