from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

import pytest

from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.query.output import TABLE_ROWS, cell, layout, write_answer
from masthead.sinks.outlet import Outlet
from tests.unit.stored import call, fill

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def reader(tmp_path: Path) -> DuckReader:
    return DuckReader(fill(tmp_path / "store", [call(0)]), Limits())


def written(reader: DuckReader, form: str, sql: str, tmp_path: Path) -> str:
    outlet = Outlet(str(tmp_path / "out"))
    write_answer(reader.ask(sql), form, outlet)
    outlet.close()
    return (tmp_path / "out").read_text()


SQL = """SELECT * FROM (VALUES (1, 'a,"b"', [1, 2], NULL), (2, 'x\ny', [], 0.5)) AS t(n, text, list, share)"""


def test_csv_is_read_back_by_another_reader(reader: DuckReader, tmp_path: Path) -> None:
    text = written(reader, "csv", SQL, tmp_path)
    assert list(csv.reader(io.StringIO(text))) == [
        ["n", "text", "list", "share"],
        ["1", 'a,"b"', "[1, 2]", ""],
        ["2", "x\ny", "[]", "0.5"],
    ]


@pytest.mark.parametrize("form", ["json", "ndjson"])
def test_json_keeps_types(reader: DuckReader, tmp_path: Path, form: str) -> None:
    text = written(reader, form, SQL, tmp_path)
    rows = json.loads(text) if form == "json" else [json.loads(line) for line in text.splitlines()]
    assert rows == [
        {"n": 1, "text": 'a,"b"', "list": [1, 2], "share": None},
        {"n": 2, "text": "x\ny", "list": [], "share": 0.5},
    ]


def test_no_rows_are_an_empty_array_and_a_lone_heading(reader: DuckReader, tmp_path: Path) -> None:
    assert json.loads(written(reader, "json", "SELECT 1 AS a WHERE false", tmp_path)) == []
    (tmp_path / "out").unlink()
    assert written(reader, "csv", "SELECT 1 AS a WHERE false", tmp_path) == "a\n"


def test_columns_of_one_name_are_told_apart(reader: DuckReader, tmp_path: Path) -> None:
    assert json.loads(written(reader, "ndjson", "SELECT time IS NULL AS a, 2 AS a, time FROM exchanges", tmp_path)) == {
        "a": False,
        "a_1": 2,
        "time": "2026-08-01T00:00:00.000000000Z",
    }


def test_a_table_ends_somewhere_and_says_so(reader: DuckReader, tmp_path: Path) -> None:
    text = written(reader, "table", "SELECT range AS n FROM range(100000000)", tmp_path)
    assert "a table shows 1,000" in text
    assert len(text.splitlines()) == TABLE_ROWS + 3


def test_what_strangers_sent_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in layout(["v\x1b[2J"[:1]], [("\x1b[2J\r\n",)])
    assert "\\x1b[2J" in layout(["v"], [("\x1b[2J",)])


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("calls", 1_234_567, "1,234,567"),
        ("status", 1_404, "1404"),
        ("error_share", 0.0125, "1.25%"),
        ("p95_ms", 1234.5, "1,234.500"),
        ("time", "2026-08-01T00:00:00.123456789Z", "2026-08-01T00:00:00.123Z"),
        ("value", None, ""),
        ("examples", ["a", "é"], '["a", "é"]'),
        ("found", True, "True"),
    ],
)
def test_values_are_shown_as_people_read_them(name: str, value: object, shown: str) -> None:
    assert cell(name, value) == shown
