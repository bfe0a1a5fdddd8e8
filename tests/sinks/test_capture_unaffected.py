"""A sink that is down, slow or busy changes nothing for the capture: all rows are logged, and none is lost."""

from __future__ import annotations

import shutil
import socket
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import lost, settings
from tests.e2e.servers import SPECS, free_port, serving
from tests.e2e.test_store_run import load
from tests.e2e.waiting import wait_for
from tests.sinks.victorialogs import VictoriaLogs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.sinks,
    pytest.mark.skipif(shutil.which("wrk") is None or shutil.which("nginx") is None, reason="wrk or nginx is missing"),
]

CALLS = 100_000


@contextmanager
def silent() -> Iterator[int]:
    """Listen, and never say a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield int(server.getsockname()[1])


def cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def run(tmp_path: Path, capture_with: Callable[..., Capture], name: str, sink: str) -> tuple[float, str]:
    """Log calls under load; gives CPU, microseconds a row, and what was said."""
    folder = tmp_path / name
    (folder / "nginx").mkdir(parents=True)
    (folder / "masthead.toml").write_text(settings(folder) + sink)
    with serving(SPECS[0], folder / "nginx") as nginx:
        flags = ("--role", "server", "--output", "none", "--port", str(nginx.port))
        capture = capture_with(*flags, directory=folder)
        before = cpu_seconds(capture.child.pid)
        with load(nginx, folder):
            wait_for(lambda: nginx.record.read_bytes().count(b"\n") >= CALLS, f"{CALLS} calls", 120)
        # The threads' time counts for the process only when they end, so the thread that captures is what is shown.
        spent = cpu_seconds(capture.child.pid) - before
        capture.finish()
        calls = nginx.record.read_bytes().count(b"\n")
    assert capture.ledger is not None
    assert lost(capture.ledger) == 0
    assert capture.ledger["rows.written"] >= calls
    return spent / calls * 1e6, b"".join(capture.words.finish()).decode()


def test_no_row_is_lost_whatever_a_sink_does(tmp_path: Path, capture_with: Callable[..., Capture]) -> None:
    with ExitStack() as stack:
        sinks = {"none": "", "down": table(free_port()), "silent": table(stack.enter_context(silent()))}
        if VictoriaLogs.missing() is None:
            server = stack.enter_context(VictoriaLogs(tmp_path / "victorialogs"))
            sinks["busy"] = table(server.port, "/insert")
        time.monotonic()
        for name, sink in sinks.items():
            spent, said = run(tmp_path, capture_with, name, sink)
            print(f"\n{name}: {spent:.2f} us of the capturing thread a row")
            if name != "none":
                (account,) = [line for line in said.splitlines() if "loki: received" in line]
                assert "dropped" not in account
                assert "refused" not in account
                print(account)


def table(port: int, path: str = "") -> str:
    return f'[[sink]]\nkind = "loki"\nurl = "http://127.0.0.1:{port}{path}"\ntimeout_seconds = 2\n'
