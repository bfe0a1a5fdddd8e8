"""What the guest does once it is up: has masthead load its programs, then makes calls under `masthead run`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from signal import SIGINT
from typing import Any

from tests.e2e.capture import READY, masthead, run_command


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"3e8\r\n" + b"c" * 1000 + b"\r\n0\r\n\r\n")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("X-Served-By", "guest")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class calls it
        pass


def _programs() -> dict[str, Any]:
    done = subprocess.run([*masthead(), "doctor", "--programs", "--json"], capture_output=True, text=True, check=False)
    return {"status": done.returncode, "programs": done.stdout, "words": done.stderr}


def _run() -> dict[str, Any]:
    """Make a call with a body, and one with a chunked answer after it, while masthead runs."""
    child = subprocess.Popen(run_command(Path("/tmp")), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert child.stderr
    before = b""
    port = 0
    for line in child.stderr:
        before += line
        if READY in line:
            port = _calls()
            break
    child.send_signal(SIGINT)
    rows, words = child.communicate()
    return {"status": child.returncode, "rows": rows.decode(), "words": (before + words).decode(), "port": port}


def _calls() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = HTTPConnection("127.0.0.1", server.server_port)
        client.request("POST", "/orders", body=b"b" * 10_000, headers={"X-Tenant": "acme"})
        client.getresponse().read()
        client.request("GET", "/orders/7")
        client.getresponse().read()
        client.close()
        server.shutdown()
        return server.server_port


if __name__ == "__main__":
    report = {"kernel": os.uname().release, "pid": os.getpid(), "doctor": _programs(), "run": _run()}
    sys.stdout.write(json.dumps(report) + "\n")
