"""runtime/rpc.py against the standard library's own XML-RPC, which is the measure.

What a real supervisord answers is proven by test_apply.py's callers and the end-to-end tests.
"""

import os
import socket
import threading
import unittest
import xmlrpc.client

from support import HostTest

import rpc

HEAD = b"HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n"
VALUES = ["", "a b", "<&>\"'", "two\nlines", "é€😀", 0, -7, 2**31 - 1, True, False, 1.5, [], [[]], ["a", 1, [True, []]], {}]
NESTED = [{"name": "web", "pid": 12, "inner": {"name": "x", "list": [1, {"deep": ""}]}, "last": "&lt;"}, "after"]


class AnswerTest(unittest.TestCase):
    def test_reads_every_value_that_the_library_writes(self):
        for value in [*VALUES, NESTED]:
            with self.subTest(value):
                text = xmlrpc.client.dumps((value,), methodresponse=True)
                self.assertEqual(rpc.answer_in(HEAD + text.encode()), value)

    def test_a_fault_carries_its_code_and_text(self):
        text = xmlrpc.client.dumps(xmlrpc.client.Fault(10, "BAD_NAME: <x>"))
        with self.assertRaises(rpc.Fault) as caught:
            rpc.answer_in(HEAD + text.encode())
        self.assertEqual((caught.exception.code, str(caught.exception)), (10, "BAD_NAME: <x>"))

    def test_refuses_what_is_no_answer(self):
        for response in [b"x", b"HTTP/1.0 404 Not Found\r\n\r\n", HEAD, HEAD + b"hello", HEAD + b"<html></html>"]:
            with self.subTest(response), self.assertRaises(rpc.NotSupervisord):
                rpc.answer_in(response)

    def test_hanging_up_counts_as_nobody_there(self):
        with self.assertRaises(ConnectionError):
            rpc.answer_in(b"")


class RequestTest(unittest.TestCase):
    def test_the_library_reads_what_is_sent(self):
        for values in [(), ("web",), ("a<b>&\"'é", True), ("", False)]:
            with self.subTest(values):
                self.assertEqual(xmlrpc.client.loads(rpc.request("stop", values)), (values, "supervisor.stop"))


class SocketTest(HostTest):
    def test_calls_over_a_unix_socket(self):
        heard = []
        path = self.path("sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            answer = HEAD + xmlrpc.client.dumps(("lab/local",), methodresponse=True).encode()
            thread = threading.Thread(target=serve_once, args=(server, answer, heard))
            thread.start()
            self.assertEqual(rpc.Supervisor(path).getIdentification(), "lab/local")
            thread.join()
        head, body = heard[0].split(b"\r\n\r\n")
        self.assertIn(b"POST /RPC2 HTTP/1.0", head)
        self.assertIn(f"Content-Length: {len(body)}".encode(), head)

    def test_nobody_there(self):
        with self.assertRaises(FileNotFoundError):
            rpc.Supervisor(self.path("none")).getPID()

    def test_gives_up_on_one_that_never_answers(self):
        path = self.path("sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            with self.assertRaises(TimeoutError):
                rpc.Supervisor(path, 0.1).getPID()
        os.unlink(path)


def serve_once(server, answer, heard):
    connection = server.accept()[0]
    with connection:
        heard.append(connection.recv(65536))
        connection.sendall(answer)


if __name__ == "__main__":
    unittest.main()
