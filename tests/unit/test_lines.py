from pathlib import Path
from typing import Any

import pytest

from masthead.sinks.lines import HEADING, Painter
from masthead.sinks.outlet import Outlet
from masthead.sinks.plain import plain
from masthead.sinks.table import TableSink
from tests.unit.doubles import Rows

ROW: dict[str, Any] = {
    "time": "2026-01-01T00:00:00.123456789Z",
    "http": {
        "request": {"method": "GET", "header": [["Host", "a.example"], ["X", "1"], ["x", "2"]]},
        "response": {"status_code": 200, "header": [["Server", "s"]]},
    },
    "url": {"path": "/v1", "query": ""},
    "masthead": {"authority": "a.example", "ttfb_ns": 1_250_000, "role": "server", "quality": ["gap"]},
    "process": {"pid": 7, "executable": {"path": "/usr/sbin/nginx"}},
}


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time  # noqa: PLC0415 - only to tell it that the zone changed

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


@pytest.mark.usefixtures("utc")
def test_a_row_is_one_line_in_columns() -> None:
    painter = Painter(colour=False)
    assert painter.line(HEADING) == "time         role   method  status ttfb      process            call\n"
    assert painter.row(ROW) == "00:00:00.123 server GET     200    1.2ms     nginx[7]           a.example/v1?  [gap]\n"


def test_fields_follow_in_order_where_asked_for() -> None:
    lines = Painter(colour=False).row(ROW, headers=True).splitlines()
    assert lines[1:] == ["    > Host: a.example", "    > X: 1", "    > x: 2", "    < Server: s"]


def test_both_forms_of_fields_are_understood() -> None:
    row = {**ROW, "http": {"request": {"header": {"host": ["a", "b"]}}}}
    assert Painter(colour=False).row(row, headers=True).splitlines()[1:] == ["    > host: a", "    > host: b"]


def test_a_row_of_which_nothing_is_known_is_a_line_too() -> None:
    assert Painter(colour=False).row({}).split() == ["-"] * 7


def test_strangers_can_not_steer_the_terminal() -> None:
    assert plain("a\x1b[2J\r\n\x9b\u202e\u2028é") == "a\\x1b[2J\\x0d\\x0a\\x9b\\u{202e}\\u{2028}é"
    row = {**ROW, "url": {"path": "/\x1b]0;owned\x07"}, "http": {"request": {"header": [["A", "\x1b[31m"]]}}}
    assert "\x1b" not in Painter(colour=False).row(row, headers=True)


def test_markup_in_values_is_text() -> None:
    assert "/[bold]x[/bold]" in Painter(colour=False).row({"url": {"path": "/[bold]x[/bold]"}})


def test_errors_stand_out_in_colour() -> None:
    row = {**ROW, "http": {"response": {"status_code": 500}}}
    assert "\x1b[1;31m500" in Painter(colour=True).row(row)


def test_long_lines_are_not_broken() -> None:
    assert Painter(colour=True).row({"url": {"path": "/" + "x" * 5_000}}).count("\n") == 1


@pytest.mark.parametrize(
    ("nanoseconds", "shown"), [(0, "0us"), (999_999, "1000us"), (1_000_000, "1.0ms"), (2_500_000_000, "2.50s")]
)
def test_durations_carry_their_unit(nanoseconds: int, shown: str) -> None:
    assert shown in Painter(colour=False).row({"masthead": {"ttfb_ns": nanoseconds}}).split()


def test_the_table_has_one_heading_and_counts_rows_not_lines(tmp_path: Path) -> None:
    path = tmp_path / "out"
    sink = TableSink(Outlet(str(path)), headers=True)
    assert sink.write(Rows([ROW])) == 0
    assert sink.write(Rows([ROW, ROW])) == 0
    sink.note({"masthead": {"event": "loss", "seconds": 60}})
    sink.close()
    lines = path.read_text().splitlines()
    assert sum("GET" in line for line in lines) == 3
    assert sum(line.startswith("time ") for line in lines) == 1
    assert lines[-1] == "-- masthead: loss: seconds 60"


def test_a_row_with_fields_that_can_not_be_written_is_one_failed_row() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        sink = TableSink(Outlet(descriptor=full.fileno(), tell=lambda _: None), headers=True)
        assert sink.write(Rows([ROW, ROW])) == 2
