"""`masthead run --store` under full load: killed again and again, asked while it writes."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from tests.e2e.capture import Capture, masthead
from tests.e2e.processes import end, running
from tests.e2e.servers import SPECS, Server, serving
from tests.e2e.test_million import SCRIPT
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed"),
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

# Before a row can be a promise it waits for its batch (25 ms idle, less under load) and for the next sync (200 ms);
# the rest is for a machine that has slow spells.
SAFE_SECONDS = 1.0
FLAGS = ("--role", "server", "--output", "none")


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "nginx"
    directory.mkdir()
    with serving(SPECS[0], directory) as server:
        yield server


@contextmanager
def load(server: Server, directory: Path) -> Iterator[None]:
    script = directory / "load.lua"
    script.write_text(SCRIPT.format(depth=1))
    url = f"http://127.0.0.1:{server.port}"
    with running(["wrk", "-t1", "-c8", "-d600s", "-s", str(script), url], directory / "wrk") as child:
        wait_for(lambda: server.record.exists() and server.record.stat().st_size, "calls")
        yield
        end(child)


def stored(root: Path, port: int) -> dict[str, int]:
    """How often each target is in the store; all its parts are what was written."""
    reader = DuckReader(root, Limits(memory=8_000_000_000, threads=2))
    assert not reader.recheck(), reader.problems
    sql = f"SELECT target, count(*) FROM exchanges WHERE server_port = {port} AND role = 'server' GROUP BY target"
    found = dict(reader.ask(sql).rows())
    reader.close()
    return found


def kill_while_it_logs(nginx: Server, tmp_path: Path, times: int) -> None:
    draw, root, spans = random.Random(3), tmp_path / "store", []
    with load(nginx, tmp_path):
        for turn in range(times):
            folder = tmp_path / f"run-{turn}"
            folder.mkdir()
            capture = Capture(folder, "--store", str(root), *FLAGS)
            begin = time.time()
            # No condition to wait for: the moment has to be random.
            threading.Event().wait(SAFE_SECONDS + draw.uniform(0, 0.8))
            spans.append((begin + 0.1, time.time() - SAFE_SECONDS))
            capture.kill()
    found = stored(root, nginx.port)
    assert max(found.values()) == 1
    with nginx.record.open() as file:
        # Millions of lines: one at a time.
        promised = {
            call["line"].split()[1]
            for call in map(json.loads, file)
            if any(begin < call["time"] < finish for begin, finish in spans)
        }
    assert len(promised) > 100 * times
    assert not promised - found.keys()


def test_killed_3_times_every_call_older_than_the_sync_interval_is_there(nginx: Server, tmp_path: Path) -> None:
    kill_while_it_logs(nginx, tmp_path, times=3)


@pytest.mark.soak
def test_killed_200_times_every_call_older_than_the_sync_interval_is_there(nginx: Server, tmp_path: Path) -> None:
    kill_while_it_logs(nginx, tmp_path, times=200)


def test_the_store_is_asked_while_it_is_written(
    nginx: Server, tmp_path: Path, capture_with: Callable[..., Capture]
) -> None:
    root = tmp_path / "store"
    capture = capture_with("--store", str(root), *FLAGS)

    def ask(*words: str) -> str:
        done = subprocess.run([*masthead(), *words, "--store", str(root)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def calls() -> int:
        return int(ask("query", "SELECT count(*) FROM exchanges", "--output", "csv").splitlines()[1])

    with load(nginx, tmp_path):
        first = wait_for(calls, "rows are in the store")
        wait_for(lambda: calls() > first, "more rows come")
        routes = ask("routes", "--since", "1h", "--output", "ndjson")
    assert {json.loads(line)["method"] for line in routes.splitlines()} == {"GET"}
    capture.finish()
    assert capture.ledger is not None
    exported = ask("export", "--since", "1h", "--where", "status = 404", "--limit", "5")
    assert [json.loads(line)["http"]["response"]["status_code"] for line in exported.splitlines()] == [404] * 5


def test_a_second_service_on_one_store_is_refused(tmp_path: Path, capture_with: Callable[..., Capture]) -> None:
    root = tmp_path / "store"
    capture_with("--store", str(root), *FLAGS)
    settings = tmp_path / "other.toml"
    settings.write_text(f'[redact]\nkey_file = "{tmp_path / "key"}"\n[output]\ntail_socket = ""\n')
    command = [*masthead(), "run", "--config", str(settings), "--store", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "another masthead writes to this store" in done.stderr
    assert "Traceback" not in done.stderr
