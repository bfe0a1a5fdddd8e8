"""Every sink that sends elsewhere, with a real server: all rows arrive, also when it is killed in the middle."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from masthead.commands.sending import open_sinks
from masthead.config import Config
from tests.e2e.waiting import wait_for
from tests.sinks.cases import CASES, Case
from tests.sinks.rows import BATCH_ROWS, made

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator
    from pathlib import Path

    from masthead.delivery import Delivery

pytestmark = pytest.mark.sinks

ROWS, MANY = 20_000, 1_000_000
# A million rows at the rate of the slowest server.
PATIENCE = 900.0


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    kind: type[Case] = request.param
    if reason := kind.missing():
        pytest.skip(reason)
    tested = kind(tmp_path)
    tested.start()
    yield tested
    tested.kill()


def opened(case: Case, tmp_path: Path, **more: object) -> Delivery:
    table: dict[str, Any] = {**case.settings(), "batch_seconds": 0.2, **more}
    config = Config.model_validate({"sink": [table], "delivery": {"spool": str(tmp_path / "spool")}})
    (sink,) = open_sinks(config)
    return sink


def send(sink: Delivery, case: Case, rows: int, *, outage: float | None) -> None:
    """Write rows; the server is killed after a third, and started again so many seconds later."""
    begin = time.time_ns() - rows * 1_000_000
    killed_at = None
    for number, batch in enumerate(made(rows, begin)):
        assert sink.write(batch) == 0
        if outage is not None and number == rows // BATCH_ROWS // 3:
            wait_for(lambda: sink.account.sent > 0, "the first rows are sent", 120)
            case.kill()
            killed_at = time.monotonic()
    if killed_at is not None:
        wait_for(lambda: sink.account.failures > 0, "the outage is known", 120)
        wait_for(lambda: time.monotonic() - killed_at >= (outage or 0), "the outage lasts", 120)
        case.start()
    wait_for(lambda: sink.account.waiting == 0, "everything is sent", PATIENCE)


def check(sink: Delivery, case: Case, rows: int, *, exactly: bool) -> None:
    counts = sink.account.counts()
    assert (counts["received"], counts["sent"]) == (rows, rows), sink.account.text()
    assert counts["refused"] == counts["dropped"] == counts["sampled_out"] == 0
    if exactly:
        wait_for(lambda: case.count() == rows, f"{rows} rows are there", 60)
    else:
        assert case.count() >= rows


def test_every_row_is_there_once(case: Case, tmp_path: Path) -> None:
    sink = opened(case, tmp_path)
    send(sink, case, ROWS, outage=None)
    sink.close()
    check(sink, case, ROWS, exactly=True)
    found = case.ids(ROWS)
    assert set(found.values()) == {1}
    assert found.keys() <= {f"r-{number}" for number in range(ROWS)}


def test_nothing_is_lost_when_the_server_is_killed_in_the_middle(case: Case, tmp_path: Path) -> None:
    sink = opened(case, tmp_path, batch_rows=2_000, batch_seconds=0)
    send(sink, case, ROWS, outage=2)
    sink.close()
    check(sink, case, ROWS, exactly=case.once)
    found: Counter[str] = case.ids(ROWS * 2)
    if case.name != "opensearch":
        assert found.keys() == {f"r-{number}" for number in range(ROWS)}
    # A load whose answer a kill cut off comes again; where the protocol knows no better, it is there twice.
    assert max(found.values()) <= (1 if case.once else 2)


@pytest.mark.soak
def test_a_million_rows_arrive(case: Case, tmp_path: Path) -> None:
    began = time.monotonic()
    sink = opened(case, tmp_path)
    send(sink, case, MANY, outage=None)
    sink.close()
    print(f"\n{case.name}: {MANY / (time.monotonic() - began):,.0f} rows/s; {sink.account.text()}")
    check(sink, case, MANY, exactly=True)


@pytest.mark.soak
def test_a_million_rows_arrive_when_the_server_is_away_for_a_minute(case: Case, tmp_path: Path) -> None:
    sink = opened(case, tmp_path)
    send(sink, case, MANY, outage=60)
    sink.close()
    print(f"\n{case.name}, a minute away: {sink.account.text()}; {case.count() - MANY:,} twice")
    check(sink, case, MANY, exactly=case.once)
