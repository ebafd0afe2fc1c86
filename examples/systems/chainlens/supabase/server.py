"""Stands in for Supabase: the table `messages` behind `/rest/v1/`, for who brings the key. It keeps them in memory."""

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from urllib.parse import parse_qs, urlsplit

KEY = os.environ["SUPABASE_ANON_KEY"]
rows: list[dict[str, object]] = []
lock = Lock()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/health":
            self.answer(200, {"status": "healthy"})
        elif self.may_pass():
            self.answer(200, {"tables": ["messages"]} if url.path == "/rest/v1/" else self.found(url.query))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if self.may_pass():
            with lock:
                rows.append({**json.loads(body), "id": len(rows) + 1})
            self.answer(201, {})

    def may_pass(self) -> bool:
        if self.headers.get("apikey") != KEY:
            self.answer(401, {"message": "No API key found in request"})
        elif urlsplit(self.path).path not in ("/rest/v1/", "/rest/v1/messages"):
            self.answer(404, {"message": "no such table"})
        else:
            return True
        return False

    def found(self, query: str) -> list[dict[str, object]]:
        """As PostgREST asks: `thread_id=eq.X`, `order=id.desc`, `limit=N`."""
        wanted = {name: values[0] for name, values in parse_qs(query).items()}
        thread = wanted.get("thread_id", "").removeprefix("eq.")
        with lock:
            hits = [row for row in rows if thread in ("", row["thread_id"])]
        if wanted.get("order") == "id.desc":
            hits.reverse()
        return hits[: int(wanted.get("limit", len(hits)))]

    def answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
