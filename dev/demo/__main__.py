"""`python -m dev.demo`: starts everything, shows what masthead sees, and ends everything again. Needs root."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bench import kernel
from bench.children import ChildFailedError, await_true, child, end, free_port, listening
from dev.demo import traffic

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

_GATEWAY = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{api};
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Request-Id $request_id;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""


@contextmanager
def shop(folder: Path) -> Iterator[tuple[int, int]]:
    """Run the gateway and the API; gives their ports."""
    port, api = free_port(), free_port()
    settings = folder / "nginx.conf"
    settings.write_text(_GATEWAY.format(folder=folder, port=port, api=api), encoding="utf-8")
    gateway: list[str | Path] = ["nginx", "-p", folder, "-e", folder / "error.log", "-c", settings]
    with child([sys.executable, "-m", "dev.demo.api", str(api)], folder / "api.log") as server:
        await_true(server, lambda: listening(api), folder / "api.log")
        with child(gateway, folder / "nginx.log") as proxy:
            await_true(proxy, lambda: listening(port), folder / "nginx.log")
            yield port, api


@contextmanager
def tail(port: int, api: int, arguments: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Show what masthead sees at both servers, on this terminal."""
    command = [str(Path(sys.executable).parent / "masthead"), "tail", "--alone", "--role", "server"]
    process = subprocess.Popen([*command, "--port", str(port), "--port", str(api), *arguments])
    try:
        await_true(process, lambda: kernel.attached(process.pid), None)
        yield process
    finally:
        end(process)


def main() -> int:
    """Run the demonstration; the exit code is masthead's."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="how long (at most 600)")
    asked, rest = parser.parse_known_args()
    signal.signal(signal.SIGTERM, _interrupt)
    if os.geteuid():
        print("make demo: capturing needs root", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="masthead-demo-") as folder, shop(Path(folder)) as (port, api):
        print(f"A client calls nginx on port {port}, which calls an API on port {api}: two lines for each call.")
        print("make demo ARGS=--headers shows the header fields as well.\n", flush=True)
        with tail(port, api, rest) as watching:
            traffic.send(port, min(asked.seconds, 600))
            return watching.poll() or 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except ChildFailedError as error:
        print(f"make demo: {error}", file=sys.stderr)
        sys.exit(3)
