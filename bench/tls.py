"""Calls inside TLS: what an exchange costs its server and whoever looks into it, and how often the server traps."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import h2load, loggers, meters, servers
from bench.children import await_true, child, free_port, listening

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BODY = '{"id": 17, "name": "tea", "price": 4.2}'
GRPC_FIELDS = ("content-type: application/grpc", "te: trailers")
# One message of 10 bytes behind its prefix (gRPC over HTTP2: `Length-Prefixed-Message`).
GRPC_MESSAGE = b"\0\0\0\0\x0a0123456789"

NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; http2_max_concurrent_streams 200;
  server {{
    listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/certificate; ssl_certificate_key {folder}/key;
    location / {{ default_type application/json; return 200 '{body}'; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked, and how.

    Attributes:
        name: What the report calls it.
        server: `nginx` or `nghttpd`.
        how: Arguments of h2load.
    """

    name: str
    server: str
    how: tuple[str, ...]


LOADS = (
    Load("HTTP/1", "nginx", ("--h1",)),
    Load("HTTP/2, 10 streams", "nginx", ("-m10",)),
    Load("gRPC, 10 streams", "nghttpd", ("-m10",)),
)
NOBODY, MASTHEAD, SSLSNIFF = "nobody", "masthead", "sslsniff"


@dataclass(frozen=True, slots=True)
class Look:
    """One phase.

    Attributes:
        load: What was asked.
        looker: Who looked: nobody, masthead or sslsniff.
        exchanges: Calls that were answered.
        seconds: How long they took.
        server_ns: CPU time of the server, in which the traps are.
        looker_ns: CPU time of the looker's processes.
        traps: Traps of masthead's probes.
        rows: Rows that masthead logged.
    """

    load: str
    looker: str
    exchanges: int
    seconds: float
    server_ns: int
    looker_ns: int = 0
    traps: int = 0
    rows: int | None = None


def looks(folder: Path, rounds: int, count: int) -> list[list[Look]]:
    """Run each load under each looker, alternating; a looker that can't run is left out."""
    lookers = [NOBODY, MASTHEAD, *([SSLSNIFF] if shutil.which("sslsniff-bpfcc") else [])]
    found = []
    for load in LOADS:
        with _serving(load, folder) as (pid, port):
            _ask(load, port, count // 10)
            found += [[_look(load, looker, folder, (pid, port), count) for looker in lookers] for _ in range(rounds)]
    return found


def _look(load: Load, looker: str, folder: Path, server: tuple[int, int], count: int) -> Look:
    pid, port = server
    if looker == NOBODY:
        before = meters.processor_ns(pid)
        seconds = _ask(load, port, count)
        return Look(load.name, looker, count, seconds, meters.processor_ns(pid) - before)
    phase = folder / "phase"
    phase.mkdir(exist_ok=True)
    run = loggers.masthead_silent if looker == MASTHEAD else loggers.sslsniff
    with run(phase, port) as logger:
        looker_ns, server_ns = logger.processor_ns(), meters.processor_ns(pid)
        seconds = _ask(load, port, count)
        server_ns = meters.processor_ns(pid) - server_ns
        logger.finish()
        looker_ns = logger.processor_ns() - looker_ns
    return Look(
        load.name, looker, count, seconds, server_ns, looker_ns, logger.ledger.get("notes.tls_traps", 0), logger.rows
    )


def certify(folder: Path) -> None:
    """Make `key` and `certificate` of a server in a folder."""
    name = ["-subj", "/CN=localhost", "-days", "2", "-nodes", "-keyout", str(folder / "key"), "-out"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *name]
    subprocess.run([*make, str(folder / "certificate")], check=True, capture_output=True)


@contextmanager
def _serving(load: Load, folder: Path) -> Iterator[tuple[int, int]]:
    """Run the server of a load; give its process and its port."""
    place, port = folder / load.name.split(",")[0].replace("/", ""), free_port()
    place.mkdir()
    certify(place)
    if load.server == "nginx":
        (place / "conf").write_text(NGINX.format(folder=place, port=port, body=BODY), encoding="utf-8")
        command = ["nginx", "-c", str(place / "conf"), "-e", str(place / "error")]
    else:
        (place / "orders").write_bytes(GRPC_MESSAGE)
        more = ["-n1", "-a", "127.0.0.1", "--trailer", "grpc-status: 0", "-d", str(place)]
        command = ["nghttpd", *more, str(port), str(place / "key"), str(place / "certificate")]
    with child(command, place / "log") as process:
        await_true(process, lambda: listening(port), place / "log")
        yield process.pid, port


def _ask(load: Load, port: int, count: int) -> float:
    fields = GRPC_FIELDS if load.server == "nghttpd" else servers.REQUEST_FIELDS
    return h2load.ask(f"https://127.0.0.1:{port}/orders", count, load.how, fields)
