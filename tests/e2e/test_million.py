"""Under load every request is one row: the rows compared line by line with nginx's own access log."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass
from signal import Signals
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import Capture, Row, lost
from tests.e2e.processes import end, running
from tests.e2e.rows import quality
from tests.e2e.servers import SPECS, Server, serving
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed"),
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

CONNECTIONS, DEPTH = 32, 8

SCRIPT = """
local threads, counter = 0, 0
function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end
function one()
  counter = counter + 1
  local path = counter % 50 == 0 and "/missing/" or "/orders/"
  return wrk.format("GET", path .. id .. "-" .. counter)
end
function request()
  local all = {{}}
  for at = 1, {depth} do all[at] = one() end
  return table.concat(all)
end
"""


@dataclass(frozen=True)
class Load:
    """So many requests, pipelined this deep (1: not at all)."""

    requests: int
    depth: int


def drive(load: Load, server: Server, directory: Path) -> None:
    """Send the load with wrk: two threads, each request with a path of its own, 2 % of them errors."""
    script = directory / "load.lua"
    script.write_text(SCRIPT.format(depth=load.depth))
    url = f"http://127.0.0.1:{server.port}"
    command = ["wrk", "-t2", f"-c{CONNECTIONS}", "-d600s", "-s", str(script), url]
    with running(command, directory / "wrk") as child:
        count = lines_of(server.record)
        # wrk knows durations only: it is ended when nginx has logged enough.
        wait_for(lambda: count() >= load.requests, f"{load.requests} calls", deadline=600)
        assert end(child, Signals.SIGINT) == 0, (directory / "wrk").read_text()


def lines_of(file: Path) -> Callable[[], int]:
    """Return a function that tells how many lines a growing file has."""
    total, place = 0, 0

    def count() -> int:
        nonlocal total, place
        if file.exists():
            with file.open("rb") as lines:
                lines.seek(place)
                while block := lines.read(1 << 20):
                    total, place = total + block.count(b"\n"), place + len(block)
        return total

    return count


def logged(server: Server) -> Counter[tuple[str, int]]:
    """Request line and status of each call in nginx's access log."""
    with server.record.open("rb") as file:
        entries = (json.loads(line) for line in file)
        return Counter((entry["line"], entry["status"]) for entry in entries if entry["line"])


@dataclass
class Rows:
    """The rows of the server's end: those of whole calls, and the request lines of those that the end cut off."""

    whole: Counter[tuple[str, int]]
    cut_off: Counter[str]
    marks: Counter[str]


def read_rows(file: Path, port: int) -> Rows:
    """Read masthead's log."""
    rows = Rows(Counter(), Counter(), Counter())
    with file.open("rb") as lines:
        for line in lines:
            row: Row = json.loads(line)
            if row.get("server", {}).get("port") != port or row["masthead"]["role"] != "server":
                continue
            said = f"{row['http']['request']['method']} {row['masthead']['target']} HTTP/1.1"
            rows.marks.update(quality(row))
            status = row["http"].get("response", {}).get("status_code")
            if status is None:
                rows.cut_off[said] += 1
            else:
                rows.whole[said, status] += 1
    return rows


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "nginx"
    directory.mkdir()
    with serving(SPECS[0], directory) as server:
        yield server


def assert_every_call_is_a_row(load: Load, nginx: Server, capture: Capture, tmp_path: Path, output: Path) -> None:
    drive(load, nginx, tmp_path)
    capture.finish(port=0)
    assert capture.ledger is not None
    assert lost(capture.ledger) == 0, capture.ledger
    calls, rows = logged(nginx), read_rows(output, nginx.port)

    assert calls.total() >= load.requests
    assert set(rows.marks) <= {"no_response", "reset"}, rows.marks
    assert max(rows.whole.values()) == 1
    # When wrk leaves, each connection may have calls under way: nginx logs some that it could no longer answer.
    assert not rows.whole - calls, "rows of calls that nginx does not know"
    unanswered = calls - rows.whole
    assert unanswered.total() <= CONNECTIONS * load.depth
    assert not Counter(line for line, _ in unanswered) - rows.cut_off, "calls without a row"
    assert rows.cut_off.total() <= CONNECTIONS * load.depth


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "rows.ndjson"
    yield file
    # pytest keeps what tests leave; a gigabyte is too much to keep.
    file.unlink(missing_ok=True)


@pytest.mark.parametrize("depth", [1, DEPTH], ids=["kept alive", "pipelined"])
def test_each_of_20_000_calls_is_a_row(
    nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path, output: Path, depth: int
) -> None:
    capture = capture_with("--file", str(output))
    assert_every_call_is_a_row(Load(20_000, depth), nginx, capture, tmp_path, output)


@pytest.mark.soak
@pytest.mark.parametrize("depth", [1, DEPTH], ids=["kept alive", "pipelined"])
def test_each_of_a_million_calls_is_a_row(
    nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path, output: Path, depth: int
) -> None:
    capture = capture_with("--role", "server", "--file", str(output))
    assert_every_call_is_a_row(Load(1_000_000, depth), nginx, capture, tmp_path, output)
