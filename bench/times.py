"""`ttfb` and `duration` of the same server with TLS and without, beside what the client's own clock says."""

from __future__ import annotations

import json
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING

from bench import loggers
from bench.children import await_true, child, free_port, listening
from bench.tls import certify

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 64; }}
http {{
  access_log off; keepalive_requests 1000000; sendfile on; root {folder};
  server {{
    listen 127.0.0.1:{clear};
    listen 127.0.0.1:{secure} ssl; ssl_certificate {folder}/certificate; ssl_certificate_key {folder}/key;
    location /small {{ return 200 'ok'; }}
    location /slow {{ limit_rate {rate}; }}
  }}
}}
"""
BIG = 200_000_000
SLOW_SECONDS, RATE = 30, 20_000
SMALL, LARGE, SLOW = "small", "200 MB", "30 s stream"
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Times:
    """One call, in nanoseconds.

    Attributes:
        kind: What was asked for.
        secure: By TLS.
        client_ttfb: By the client's clock: from before it sends to its first byte of the response.
        client_duration: ... to the last byte.
        ttfb: As in the row.
        duration: As in the row.
    """

    kind: str
    secure: bool
    client_ttfb: int
    client_duration: int
    ttfb: int
    duration: int


def times(folder: Path, rounds: int, *, slow: bool = True) -> list[Times]:
    """Ask both ports in turn for each kind of answer; the rows are the server's."""
    kinds = {SMALL: ("/small", rounds * 100), LARGE: ("/big", rounds), SLOW: ("/slow", 1 if slow else 0)}
    rows, asked = folder / "rows.ndjson", []
    site = folder / "times"
    site.mkdir()
    with _serving(site) as ports, loggers.masthead(folder, ["--file", rows]) as logger:
        for kind, (path, count) in kinds.items():
            clients = [_client(port, secure=secure) for port, secure in zip(ports, (False, True), strict=True)]
            for number in range(count):
                for secure, client in enumerate(clients):
                    target = f"{path}?{kind.split()[0]}-{number}-{secure}"
                    asked.append((kind, bool(secure), target, _call(client, target)))
            for client in clients:
                client.close()
        logger.finish()
    found = {row["masthead"]["target"]: row["masthead"] for row in map(json.loads, rows.read_bytes().splitlines())}
    rows.unlink()
    return [
        Times(kind, secure, *measured, found[target]["ttfb_ns"], found[target]["duration_ns"])
        for kind, secure, target, measured in asked
    ]


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[int, int]]:
    """Run nginx; give its ports, without TLS and with."""
    clear, secure = free_port(), free_port()
    certify(folder)
    text = NGINX.format(folder=folder, clear=clear, secure=secure, rate=RATE)
    (folder / "conf").write_text("user root;" + text, encoding="utf-8")
    with (folder / "big").open("wb") as file:
        file.truncate(BIG)
    (folder / "slow").write_bytes(bytes(RATE * SLOW_SECONDS))
    with child(["nginx", "-c", folder / "conf", "-e", folder / "error"], folder / "log") as process:
        await_true(process, lambda: listening(clear) and listening(secure), folder / "log")
        yield clear, secure


def _client(port: int, *, secure: bool) -> HTTPConnection:
    if not secure:
        return HTTPConnection("127.0.0.1", port, timeout=120)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return HTTPSConnection("127.0.0.1", port, context=context, timeout=120)


def _call(client: HTTPConnection, target: str) -> tuple[int, int]:
    if client.sock is None:
        client.connect()
    began = time.monotonic_ns()
    client.request("GET", target)
    response = client.getresponse()
    first = time.monotonic_ns()
    while response.read(_PIECE):
        pass
    return first - began, time.monotonic_ns() - began
