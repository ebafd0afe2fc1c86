"""Stands in for the Next.js frontend: one page, which asks the backend."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PAGE = (Path(__file__).parent / "index.html").read_text().replace("BACKEND_URL", os.environ["BACKEND_URL"]).encode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        if found:
            self.wfile.write(PAGE)


ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
