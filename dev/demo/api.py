"""A small API: products, orders, and the ways in which APIs misbehave. `python -m dev.demo.api PORT`."""

from __future__ import annotations

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

Answer = tuple[int, dict[str, object], list[tuple[str, str]]]


class Api(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"
    server_version = "shop/1.0"
    sys_version = ""
    paths: ClassVar[dict[str, Answer]] = {
        "/products": (200, {"products": ["tea", "cups"]}, [("Cache-Control", "max-age=60"), ("ETag", '"7f3a"')]),
        "/orders": (201, {"order": 4711}, [("Location", "/orders/4711")]),
        "/login": (200, {}, [("Set-Cookie", "session=8d1f; HttpOnly"), ("Set-Cookie", "theme=dark")]),
        "/slow": (200, {"took": "long"}, []),
        "/reports": (500, {"error": "the database is away"}, [("Retry-After", "5")]),
        "/private": (401, {"error": "who are you?"}, [("WWW-Authenticate", 'Bearer realm="shop"')]),
        "/old": (301, {}, [("Location", "/products")]),
    }

    def do_GET(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        status, content, fields = self.paths.get(path, (404, {"error": "no such thing"}, []))
        if path == "/slow":
            time.sleep(0.4)
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in [("Content-Type", "application/json"), *fields, ("Content-Length", str(len(body)))]:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        """Say nothing: masthead does."""


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Api).serve_forever()
