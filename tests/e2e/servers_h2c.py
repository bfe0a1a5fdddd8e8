"""Real servers that speak HTTP/2 without TLS, and what each wrote down of its calls."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.servers import APACHE, APPS, Server, Spec, build_go
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

GO = Path(__file__).parent / "go_h2c"
GO_SINCE = (1, 24)
"""net/http speaks HTTP/2 without TLS since then."""

NGINX = """
daemon off; master_process on; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/error.log;
user root;
events {{ worker_connections 1024; }}
http {{
  log_format record escape=json '{{"method":"$request_method","path":"$request_uri","authority":"$http_host",'
    '"status":$status,"tenant":"$http_x_tenant"}}';
  access_log {directory}/record record;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000; http2_max_concurrent_streams 200; client_max_body_size 10m;
  server {{
    listen 127.0.0.1:{port} http2;
    add_header X-Path $request_uri always;
    add_header X-Served-By nginx always;
    location / {{ return 200 "ok\\n"; }}
    location /missing {{ return 404; }}
  }}
}}
"""

CADDY = """
{{
  admin off
  auto_https off
  servers {{
    protocols h1 h2c
  }}
}}
http://127.0.0.1:{port} {{
  bind 127.0.0.1
  log {{
    output file {directory}/record
    format json
  }}
  header X-Served-By caddy
  respond /missing* 404
  respond "ok" 200
}}
"""

HAPROXY = """
global
  maxconn 100
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend front
  bind 127.0.0.1:{port} proto h2
  http-request return status 404 if {{ path_beg /missing }}
  http-request return status 200 content-type text/plain string "ok" hdr X-Served-By haproxy
"""


@dataclass(frozen=True)
class Seen:
    """One request as its server wrote it down; what the server does not keep is None."""

    path: str
    status: int
    fields: list[list[str]] | None = None
    trailers: list[list[str]] | None = None
    tenant: str | None = None
    ordered: bool = True


def seen(entry: dict[str, Any]) -> Seen:
    """Read one line of a server's record."""
    if "request" in entry:  # Caddy's
        request = entry["request"]
        return Seen(request["uri"], entry["status"], tenant=request["headers"].get("X-Tenant", [None])[0])
    if "map" in entry:  # Go's, whose order and case are lost
        pairs = sorted([name.lower(), value] for name, values in entry["map"].items() for value in values)
        return Seen(entry["path"], entry["status"], fields=pairs, ordered=False)
    if "lower" in entry:  # an ASGI application's
        return Seen(entry["line"].split(" ")[1], entry["status"], fields=regular(entry["lower"]))
    if "fields" in entry:
        path = next(value for name, value in entry["fields"] if name == ":path")
        return Seen(path, entry["status"], fields=regular(entry["fields"]), trailers=entry["trailers"])
    path = entry["path"] if "path" in entry else entry["line"].split(" ")[1]
    return Seen(path, entry["status"], tenant=entry["tenant"])


def regular(fields: list[list[str]]) -> list[list[str]]:
    """Return what is no pseudo-header field."""
    return [[name, value] for name, value in fields if not name.startswith(":")]


def record(server: Server, count: int) -> list[Seen] | None:
    """Wait until the server has written down that many calls, and return them; None where it writes nothing."""
    if server.spec.name in SILENT:
        return None

    def enough() -> list[Seen] | None:
        lines = server.record.read_text().splitlines() if server.record.exists() else []
        views = [seen(json.loads(line)) for line in lines if line.startswith("{")]
        return views if len(views) >= count else None

    return wait_for(enough, f"{count} calls in {server.spec.name}'s own record")


def _written(name: str, text: str, *command: str) -> Callable[[Path, int], list[str]]:
    def make(directory: Path, port: int) -> list[str]:
        (directory / name).write_text(text.format(directory=directory, port=port))
        return [word.format(directory=directory) for word in command]

    return make


def _script(*command: str) -> Callable[[Path, int], list[str]]:
    return lambda directory, port: [*command, str(port), str(directory / "record")]


def _apache(directory: Path, port: int) -> list[str]:
    more = "LoadModule http2_module /usr/lib/apache2/modules/mod_http2.so\nProtocols h2c\nKeepAliveTimeout 60\n"
    (directory / "apache.conf").write_text(APACHE.format(directory=directory, port=port) + more)
    (directory / "ok.txt").write_text("ok\n")
    return ["apache2", "-f", str(directory / "apache.conf"), "-DFOREGROUND"]


def _nghttpd(directory: Path, port: int) -> list[str]:
    (directory / "orders").write_text("ok\n")
    return ["nghttpd", "--no-tls", "-d", str(directory), "--trailer", "x-checksum: 17", str(port)]


def _hypercorn(_: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", f"{APPS / 'asgi'}:app"]


def _go(directory: Path, port: int) -> list[str]:
    binary = directory / "h2c"
    build_go(GO, binary)
    return [str(binary), str(port), str(directory / "record")]


def go_is_old() -> str | None:
    """Say that Go is too old, if it is."""
    if shutil.which("go") is None:
        return None
    said = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"go(\d+)\.(\d+)", said)
    new = found is not None and (int(found[1]), int(found[2])) >= GO_SINCE
    return None if new else f"Go is {said.strip()}, and HTTP/2 without TLS came with 1.24"


SILENT = {"nghttpd", "haproxy"}
"""Those that keep no record of what they were asked."""

SPECS = [
    Spec("h2", (), _script(sys.executable, str(APPS / "h2_server.py")), ("h2",)),
    Spec("node", ("node",), _script("node", str(APPS / "http2.js"))),
    Spec("nghttpd", ("nghttpd",), _nghttpd),
    Spec("hypercorn", (), _hypercorn, ("hypercorn", "h2")),
    Spec("go", ("go",), _go),
    Spec("apache", ("apache2",), _apache),
    Spec(
        "nginx",
        ("nginx",),
        _written("nginx.conf", NGINX, "nginx", "-c", "{directory}/nginx.conf", "-e", "{directory}/error.log"),
    ),
    Spec(
        "caddy",
        ("caddy",),
        _written("Caddyfile", CADDY, "caddy", "run", "--config", "{directory}/Caddyfile", "--adapter", "caddyfile"),
    ),
    Spec("haproxy", ("haproxy",), _written("haproxy.cfg", HAPROXY, "haproxy", "-db", "-f", "{directory}/haproxy.cfg")),
]
