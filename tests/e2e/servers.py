"""Real servers, each in a directory of its own on a free port of 127.0.0.1, and what each wrote down of its calls."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.e2e.processes import executables, running
from tests.e2e.waiting import wait_for
from tests.e2e.wire import Head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPS = Path(__file__).parent / "apps"
GO = Path(__file__).parent / "go"
JAVA = Path(__file__).parent / "java"
KEPT = Path(__file__).parents[2] / ".servers"
"""What `dev/servers` brings."""

NGINX = """
daemon off; master_process on; worker_processes 2; pid {directory}/nginx.pid; error_log {directory}/error.log;
user {user};
events {{ worker_connections 1024; }}
http {{
  log_format record escape=json '{{"time":$msec,"line":"$request","status":$status,"tenant":"$http_x_tenant"}}';
  access_log {directory}/record record;
  client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port};
    location / {{ add_header X-Served-By nginx; return 200 "ok\\n"; }}
    location /missing {{ return 404; }}
  }}
}}
"""

APACHE = """
ServerRoot {directory}
ServerName 127.0.0.1
PidFile {directory}/apache.pid
DefaultRuntimeDir {directory}
Listen 127.0.0.1:{port}
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule headers_module /usr/lib/apache2/modules/mod_headers.so
User www-data
Group www-data
StartServers 2
ErrorLog {directory}/error.log
LogFormat "{{\\"line\\":\\"%r\\",\\"status\\":%>s,\\"tenant\\":\\"%{{X-Tenant}}i\\"}}" record
CustomLog {directory}/record record
DocumentRoot {directory}
Header set X-Served-By apache
AliasMatch "^/orders" {directory}/ok.txt
<Directory {directory}>
  Require all granted
</Directory>
"""

CADDY = """
{{
  admin off
  auto_https off
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


@dataclass(frozen=True)
class View:
    """One call as the server saw it; what the server does not keep is None."""

    line: str
    status: int
    fields: list[list[str]] | None = None
    lower: list[list[str]] | None = None
    tenant: str | None = None


@dataclass(frozen=True)
class Spec:
    """How to start one server: `command` writes what it needs into the directory and returns the command."""

    name: str
    needs: tuple[str, ...]
    command: Callable[[Path, int], list[str]]
    modules: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """Return what is not installed here, if anything."""
        for need in self.needs:
            if shutil.which(need, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin") is None and not (
                shutil.which(need)
            ):
                return need
        return next((module for module in self.modules if importlib.util.find_spec(module) is None), None)


@dataclass
class Server:
    """A running server."""

    spec: Spec
    port: int
    pid: int
    record: Path

    def executables(self) -> dict[int, str]:
        """Return the executable of each of its processes."""
        return executables(self.pid)

    def views(self, count: int) -> list[View]:
        """Wait until the server has written down that many calls, and return them."""

        def enough() -> list[View] | None:
            lines = self.record.read_text().splitlines() if self.record.exists() else []
            views = [view(json.loads(line)) for line in lines if line.startswith("{")]
            return views if len(views) >= count else None

        return wait_for(enough, f"{count} calls in {self.spec.name}'s own record")


def view(entry: dict[str, Any]) -> View:
    """Read one line of a server's record."""
    if "raw" in entry:
        head = Head(entry["raw"].encode("latin-1"))
        return View(head.start, entry["status"], fields=head.fields)
    if "request" in entry:  # Caddy's
        request = entry["request"]
        tenant = request["headers"].get("X-Tenant", [None])[0]
        return View(f"{request['method']} {request['uri']} {request['proto']}", entry["status"], tenant=tenant)
    return View(entry["line"], entry["status"], entry.get("fields"), entry.get("lower"), entry.get("tenant"))


def _nginx(directory: Path, port: int) -> list[str]:
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(directory=directory, port=port, user="root"))
    return ["nginx", "-c", str(config), "-e", str(directory / "error.log")]


def _apache(directory: Path, port: int) -> list[str]:
    config = directory / "apache.conf"
    config.write_text(APACHE.format(directory=directory, port=port))
    (directory / "ok.txt").write_text("ok\n")
    return ["apache2", "-f", str(config), "-DFOREGROUND"]


def _caddy(directory: Path, port: int) -> list[str]:
    config = directory / "Caddyfile"
    config.write_text(CADDY.format(directory=directory, port=port))
    return ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]


def _gunicorn(_: Path, port: int) -> list[str]:
    workers = ["--workers", "1", "--worker-class", "gthread", "--threads", "4", "--keep-alive", "30"]
    more = ["--no-control-socket", "--chdir", str(APPS), "--bind", f"127.0.0.1:{port}", "wsgi:app"]
    return [sys.executable, "-m", "gunicorn", *workers, *more]


def _uvicorn(http: str) -> Callable[[Path, int], list[str]]:
    def command(_: Path, port: int) -> list[str]:
        more = ["--http", http, "--log-level", "warning", "--timeout-keep-alive", "30"]
        return [sys.executable, "-m", "uvicorn", "--app-dir", str(APPS), "--port", str(port), *more, "asgi:app"]

    return command


def build_go(source: Path, binary: Path, *more: str) -> None:
    """Build a program of Go from the folder of its source."""
    subprocess.run(["go", "build", "-C", str(source), *more, "-o", str(binary), "."], check=True)


def _go(directory: Path, port: int) -> list[str]:
    binary = directory / "recorder"
    build_go(GO, binary)
    return [str(binary), str(port), str(directory / "record")]


def _script(*command: str) -> Callable[[Path, int], list[str]]:
    return lambda directory, port: [*command, str(port), str(directory / "record")]


SPECS = [
    Spec("nginx", ("nginx",), _nginx),
    Spec("apache", ("apache2",), _apache),
    Spec("node", ("node",), _script("node", str(APPS / "raw_headers.js"))),
    Spec("http.server", (), _script(sys.executable, str(APPS / "recorder.py"))),
    Spec("gunicorn", (), _gunicorn, ("gunicorn",)),
    Spec("uvicorn-h11", (), _uvicorn("h11"), ("uvicorn", "h11")),
    Spec("uvicorn-httptools", (), _uvicorn("httptools"), ("uvicorn", "httptools")),
    Spec("caddy", ("caddy",), _caddy),
    Spec("go", ("go",), _go),
    Spec("java", ("java",), _script("java", str(JAVA / "Recorder.java"))),
]


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def listening(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def serving(spec: Spec, directory: Path) -> Iterator[Server]:
    """Run a server until the block is left."""
    # Apache's and nginx's workers may run as another user and must reach their directory.
    directory.chmod(0o755)
    port = free_port()
    command = spec.command(directory, port)
    record = directory / "record"
    more = {"RECORD": str(record), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    log = directory / "output"
    with running(command, log, **more) as child:

        def accepts() -> bool:
            assert child.poll() is None, f"{spec.name} ended: {log.read_text()}"
            return listening(port)

        wait_for(accepts, f"{spec.name} accepts connections", deadline=120)
        yield Server(spec, port, child.pid, record)
