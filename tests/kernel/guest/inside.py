"""What the guest does once it is up: has masthead load its programs, then makes calls under `masthead run`."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import threading
from http.client import HTTPConnection, HTTPSConnection
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


def _server() -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _run() -> dict[str, Any]:
    """Make the same calls without and with TLS while masthead runs, which finds the server with TLS there already."""
    secured = _server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/certificate.pem", "/key.pem")
    secured.socket = context.wrap_socket(secured.socket, server_side=True)
    child = subprocess.Popen(run_command(Path("/tmp")), stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert child.stderr
    before = b""
    port = 0
    for line in child.stderr:
        before += line
        if READY in line:
            plain = _server()
            port = plain.server_port
            _call(HTTPConnection("127.0.0.1", port))
            _call(HTTPSConnection("127.0.0.1", secured.server_port, context=_anybody()))
            break
    child.send_signal(SIGINT)
    rows, words = child.communicate()
    return {"status": child.returncode, "rows": rows.decode(), "words": (before + words).decode(), "port": port}


def _anybody() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _call(client: HTTPConnection) -> None:
    """Make a call with a body, and one with a chunked answer after it."""
    client.request("POST", "/orders", body=b"b" * 10_000, headers={"X-Tenant": "acme"})
    client.getresponse().read()
    client.request("GET", "/orders/7")
    client.getresponse().read()
    client.close()


if __name__ == "__main__":
    report = {"kernel": os.uname().release, "pid": os.getpid(), "doctor": _programs(), "run": _run()}
    sys.stdout.write(json.dumps(report) + "\n")
