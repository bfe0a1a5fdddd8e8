"""The servers under load, and the load: nginx with wrk, Redis with its own benchmark, and a plain socket.

All of them listen on 127.0.0.1 only, write only into the folder they are given, and end with the block.
"""

from __future__ import annotations

import re
import socket
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.children import ChildFailedError, await_true, child, free_port, listening, output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONNECTIONS = 16
LARGE_BYTES = 64 << 20

# What an API client sends besides Host, which wrk adds; masthead has one value to redact.
REQUEST_FIELDS = (
    "User-Agent: shop-frontend/2.4 (linux)",
    "Accept: application/json",
    "Authorization: Bearer 3f1c9a7e5b2d4860a1b2c3d4e5f60718",
)

# One process does all the work: no master, whose CPU time would have to be told apart. nginx's own log has nine fields
# and a buffer, which makes it the cheapest that nginx can do, and so the hardest to compare with.
_CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    sendfile on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/json;
    log_format fields escape=json '{{"time":"$time_iso8601","client":"$remote_addr","method":"$request_method",'
        '"target":"$request_uri","status":$status,"duration":$request_time,'
        '"host":"$http_host","user-agent":"$http_user_agent","accept":"$http_accept"}}';
    server {{
        listen 127.0.0.1:{bare};
        location / {{ return 200 '{{"id": 17, "name": "tea", "price": 4.2}}'; }}
        location /large {{ root {folder}; }}
    }}
    server {{
        listen 127.0.0.1:{logged};
        access_log {folder}/access.json fields buffer=64k;
        location / {{ return 200 '{{"id": 17, "name": "tea", "price": 4.2}}'; }}
    }}
    server {{
        listen unix:{folder}/status;
        location / {{ stub_status; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running nginx: one process, the same answer on two ports, one of which is logged by nginx itself."""

    pid: int
    bare: int
    logged: int
    folder: Path

    @property
    def access_log(self) -> Path:
        """The file of its own log."""
        return self.folder / "access.json"

    def requests(self) -> int:
        """Read how many requests it has begun (`stub_status`), those of this method left out."""
        with socket.socket(socket.AF_UNIX) as status:
            status.connect(str(self.folder / "status"))
            status.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: status.recv(4096), b""))
        found = re.search(rb"\n \d+ \d+ (\d+)", answer)
        if not found:
            raise ChildFailedError(f"nginx's stub_status says {answer!r}")
        asked = self.folder / "asked"
        count = len(asked.read_bytes()) + 1 if asked.exists() else 1
        asked.write_bytes(b"." * count)
        return int(found[1]) - count


@contextmanager
def nginx(folder: Path) -> Iterator[Nginx]:
    """Run nginx."""
    folder.mkdir()
    bare, logged = free_port(), free_port()
    settings = folder / "nginx.conf"
    settings.write_text(_CONFIGURATION.format(folder=folder, bare=bare, logged=logged), encoding="utf-8")
    with (folder / "large").open("wb") as file:
        file.truncate(LARGE_BYTES)
    log = folder / "log"
    with child(["nginx", "-p", folder, "-e", folder / "error.log", "-c", settings], log) as process:
        await_true(process, lambda: listening(bare) and listening(logged), log)
        yield Nginx(process.pid, bare, logged, folder)


def requests(port: int, seconds: float, path: str = "/", connections: int = CONNECTIONS) -> int:
    """Send requests as fast as one thread can; give how many were answered."""
    fields = [word for field in REQUEST_FIELDS for word in ("-H", field)]
    command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", *fields]
    said = output([*command, f"http://127.0.0.1:{port}{path}"], seconds + 20)
    found = re.search(r"(\d+) requests in", said)
    if not found or "Non-2xx" in said:
        raise ChildFailedError(f"wrk: {said}")
    return int(found[1])


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    """Run Redis, in memory only; give its port."""
    folder.mkdir()
    port, log = free_port(), folder / "log"
    settings = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
    with child(["redis-server", *map(str, settings)], log) as process:
        await_true(process, lambda: listening(port), log)
        yield port


def redis_sets(port: int, count: int) -> float:
    """Send unpipelined SETs; give how many were answered a second."""
    said = output(
        ["redis-benchmark", "-p", str(port), "-t", "set", "-n", str(count), "-c", str(CONNECTIONS), "--csv"], 60
    )
    rate = re.search(r'^"SET","([\d.]+)"', said, re.MULTILINE)
    if not rate:
        raise ChildFailedError(f"redis-benchmark: {said[-500:]}")
    return float(rate[1])


_SENDER = """
import socket, sys, time
block = bytes(1 << 20)
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as stream:
    end = time.monotonic() + float(sys.argv[2])
    while time.monotonic() < end:
        stream.sendall(block)
"""


def bulk(seconds: float, folder: Path) -> float:
    """Send bytes that are no HTTP through one connection; give how many arrived a second."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        command = [sys.executable, "-c", _SENDER, str(server.getsockname()[1]), str(seconds)]
        with child(command, folder / "sender.log"):
            stream, _ = server.accept()
            with stream:
                block, total, began = bytearray(1 << 20), 0, time.monotonic()
                while count := stream.recv_into(block):
                    total += count
                return total / (time.monotonic() - began)
