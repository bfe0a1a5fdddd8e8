"""http.server that writes down the bytes it read, one line of JSON per request: `recorder.py PORT LOG`."""

from __future__ import annotations

import io
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOG = Path(sys.argv[2])


class Tee(io.BufferedIOBase):
    """A reader that keeps what it has read."""

    def __init__(self, source: io.BufferedIOBase) -> None:
        self.source = source
        self.kept = bytearray()

    def readline(self, size: int | None = -1, /) -> bytes:
        line = self.source.readline(-1 if size is None else size)
        self.kept += line
        return line

    def read(self, size: int | None = -1, /) -> bytes:
        return self.source.read(-1 if size is None else size)


class Handler(BaseHTTPRequestHandler):
    """Answers every method, and 404 below /missing."""

    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.tee = Tee(self.rfile)
        self.rfile = self.tee

    def answer(self) -> None:
        head = bytes(self.tee.kept)
        self.read_body()
        self.tee.kept.clear()
        status = 404 if self.path.startswith("/missing") else 200
        with LOG.open("a") as log:
            log.write(json.dumps({"raw": head.decode("latin-1"), "status": status}) + "\n")
        body = b"" if self.command == "HEAD" else b"ok\n"
        self.send_response(status)
        self.send_header("Content-Length", "3")
        self.send_header("X-Served-By", "http.server")
        self.end_headers()
        self.wfile.write(body)

    def read_body(self) -> None:
        if self.headers.get("Transfer-Encoding") != "chunked":
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            return
        while size := int(self.rfile.readline().split(b";")[0], 16):
            self.rfile.read(size + 2)
        while self.rfile.readline().strip():
            pass

    do_GET = do_HEAD = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Say nothing."""


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
