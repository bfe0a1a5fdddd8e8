"""100 streams on each connection, under load: every request is one row, and no row has a value that nobody sent.

Each response repeats its request's target in a field, so that a row whose halves belong to different calls, or a field
that HPACK's table gave wrongly, is seen in the row itself. Which calls there were, the server's own log says.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from tests.e2e.capture import Capture, Row, lost
from tests.e2e.processes import running
from tests.e2e.rows import quality, request_fields, response_fields
from tests.e2e.servers import Server, serving
from tests.e2e.servers_h2c import SPECS, go_is_old
from tests.e2e.test_million import lines_of
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed"),
]

CONNECTIONS, STREAMS = 8, 100
PATHS = 997
"""Different targets: far more than a table of 4,096 octets can hold, so that it turns over all the time."""

FIELDS = [["x-tenant", "acme"], ["x-dup", "one"], ["accept", "application/json"]]


@dataclass
class Load:
    """So many requests; `rate` a second on each connection (0: as fast as it can)."""

    requests: int
    rate: int = 0

    def command(self, server: Server, directory: Path) -> list[str]:
        """Return the command that sends it."""
        kinds = ["missing" if n % 50 == 0 else "orders" for n in range(PATHS)]
        targets = directory / "targets"
        lines = [f"http://127.0.0.1:{server.port}/{kind}/{n}-{n * n}\n" for n, kind in enumerate(kinds)]
        targets.write_text("".join(lines))
        fields = [word for name, value in FIELDS for word in ("-H", f"{name}: {value}")]
        rate = [f"--rps={self.rate}"] if self.rate else []
        count = [f"-n{self.requests}", f"-c{CONNECTIONS}", f"-m{STREAMS}"]
        return ["h2load", *count, *rate, *fields, f"--input-file={targets}"]


@dataclass
class Rows:
    """The rows of the server's end."""

    total: int = 0
    calls: Counter[tuple[str, int]] = field(default_factory=Counter)
    """Target and status, where both are known."""
    unknown: int = 0
    marks: Counter[str] = field(default_factory=Counter)
    wrong: list[Row] = field(default_factory=list)

    def read(self, file: Path, port: int) -> Rows:
        """Read masthead's log."""
        with file.open("rb") as lines:
            for line in lines:
                row: Row = json.loads(line)
                if row.get("server", {}).get("port") == port and row["masthead"]["role"] == "server":
                    self._add(row)
        return self

    def _add(self, row: Row) -> None:
        self.total += 1
        marks = quality(row)
        self.marks.update(marks)
        target = row["masthead"].get("target")
        status = row["http"].get("response", {}).get("status_code")
        answered = response_fields(row) if "response" in row["http"] else []
        repeated = next((value for name, value in answered if name == "x-path"), None)
        if target is None or status is None:
            self.unknown += 1
        else:
            self.calls[target, status] += 1
        sent = [pair for pair in request_fields(row) if pair[0] in {"x-tenant", "x-dup", "accept"}]
        right = all(pair in FIELDS for pair in sent if pair[1:] != [None]) and (len(sent) == len(FIELDS) or bool(marks))
        agrees = target is None or repeated is None or target == repeated
        explained = bool(marks) or (target is not None and status is not None and repeated is not None)
        if not (right and agrees and explained) and len(self.wrong) < 5:
            self.wrong.append(row)


def logged(server: Server) -> Counter[tuple[str, int]]:
    """Target and status of each call in the server's own log."""
    with server.record.open("rb") as file:
        return Counter((entry["path"], entry["status"]) for entry in map(json.loads, file))


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "rows.ndjson"
    yield file
    file.unlink(missing_ok=True)


@pytest.fixture(params=["nginx", "go"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    spec = next(spec for spec in SPECS if spec.name == request.param)
    reason = f"{spec.needs[0]} is not installed" if spec.missing() else None
    if reason := reason or (go_is_old() if spec.name == "go" else None):
        pytest.skip(reason)
    directory = tmp_path / "server"
    directory.mkdir()
    with serving(spec, directory) as running_server:
        yield running_server


def assert_every_call_is_a_row(load: Load, server: Server, capture: Capture, tmp_path: Path, output: Path) -> None:
    with running(load.command(server, tmp_path), tmp_path / "h2load") as child:
        wait_for(lambda: child.poll() is not None, "h2load is done", deadline=600)
    count = lines_of(server.record)
    wait_for(lambda: count() >= load.requests, f"{load.requests} calls in the server's log")
    capture.finish(port=0)
    assert capture.ledger is not None
    assert lost(capture.ledger) == 0, capture.ledger
    rows = Rows().read(output, server.port)
    assert rows.wrong == []
    assert rows.marks == {}
    assert rows.total == load.requests
    assert rows.calls == logged(server)


def settled(count: Callable[[], int]) -> int:
    """Wait until the server's log grows no more, and return how many calls it has."""
    seen = [count()]

    def rests() -> bool:
        time.sleep(0.5)
        seen.append(count())
        return seen[-1] == seen[-2]

    wait_for(rests, "the server's log is whole")
    return seen[-1]


def assert_no_wrong_value_in_what_was_joined(  # noqa: PLR0913, PLR0917 - one call of each kind
    load: Load, server: Server, start: Callable[[], Capture], tmp_path: Path, output: Path, enough: int
) -> None:
    count = lines_of(server.record)
    with running(load.command(server, tmp_path), tmp_path / "h2load") as child:
        wait_for(lambda: count() >= 500, "some calls in the server's log")
        capture = start()
        before = count()
        wait_for(lambda: child.poll() is not None or count() > before + enough, "calls behind the start", deadline=600)
        child.terminate()
        wait_for(lambda: child.poll() is not None, "h2load is done", deadline=600)
    all_calls = settled(count)
    capture.finish(port=0)
    assert capture.ledger is not None
    rows = Rows().read(output, server.port)
    after = all_calls - before
    told = f"{after} calls after the start, {rows.total} rows, {rows.unknown} not fully known, {dict(rows.marks)}"
    (tmp_path / "told").write_text(told)
    assert after >= enough, "h2load was done before masthead looked"
    assert rows.wrong == []
    assert not rows.calls - logged(server), "rows of calls that the server does not know"
    # Calls that were under way when masthead came are half known, or not at all.
    assert rows.total > 0.9 * (after - CONNECTIONS * STREAMS), told


def test_each_of_20_000_calls_is_a_row(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path, output: Path
) -> None:
    capture = capture_with("--role", "server", "--file", str(output))
    assert_every_call_is_a_row(Load(20_000), server, capture, tmp_path, output)


def test_joined_in_the_middle_no_value_is_wrong(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path, output: Path
) -> None:
    start = lambda: capture_with("--role", "server", "--file", str(output))  # noqa: E731
    assert_no_wrong_value_in_what_was_joined(Load(200_000, rate=150), server, start, tmp_path, output, 3_000)


@pytest.mark.soak
def test_each_of_500_000_calls_is_a_row(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path, output: Path
) -> None:
    capture = capture_with("--role", "server", "--file", str(output))
    assert_every_call_is_a_row(Load(500_000), server, capture, tmp_path, output)


@pytest.mark.soak
def test_joined_in_the_middle_of_500_000_calls_no_value_is_wrong(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path, output: Path
) -> None:
    start = lambda: capture_with("--role", "server", "--file", str(output))  # noqa: E731
    # nginx would be done before masthead has begun.
    load = Load(500_000, rate=4000 if server.spec.name == "nginx" else 0)
    assert_no_wrong_value_in_what_was_joined(load, server, start, tmp_path, output, 200_000)
