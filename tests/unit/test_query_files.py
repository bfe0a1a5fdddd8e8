from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import pytest

from masthead.errors import OutputError, QueryError
from masthead.query import files
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.query.questions.scope import Scope
from tests.unit.stored import BEGIN_NS, SECOND, fill, random_calls

if TYPE_CHECKING:
    from pathlib import Path

CALLS = random_calls(4_000)
ALL = Scope(role="both", limit=1 << 62)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> DuckReader:
    return DuckReader(fill(tmp_path_factory.mktemp("store"), CALLS), Limits())


def exported(reader: DuckReader, scope: Scope) -> list[dict[str, object]]:
    lines = [line for batch in files.batches(reader, scope) for line in batch.ndjson("pairs").splitlines()]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("rows", [100, 100_000])
def test_whole_calls_come_in_the_order_of_time_once_each(
    reader: DuckReader, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SLICE_ROWS", rows)
    found = [row["masthead"]["exchange_id"] for row in exported(reader, ALL)]  # type: ignore[index]
    assert found == [row["exchange_id"] for row in CALLS]


def test_a_scope_cuts_inside_a_minute(reader: DuckReader) -> None:
    scope = replace(ALL, since_ns=BEGIN_NS + 90 * SECOND, until_ns=BEGIN_NS + 150 * SECOND)
    assert len(exported(reader, scope)) == 60
    assert len(exported(reader, replace(scope, limit=7))) == 7


def test_names_and_values_of_both_sides_are_those_that_were_stored(reader: DuckReader) -> None:
    for row, stored in zip(exported(reader, ALL), CALLS, strict=True):
        http = row["http"]
        assert isinstance(http, dict)
        for side in ("request", "response"):
            pairs = stored[f"{side}_fields"]
            expected = None if pairs is None else [[field["name"], field["value"]] for field in pairs]
            assert http.get(side, {}).get("header") == expected


def test_parquet_is_read_back_by_another_reader(reader: DuckReader, tmp_path: Path) -> None:
    target = tmp_path / "calls.parquet"
    assert files.write_parquet(reader, files.calls_sql(reader, ALL), target) == len(CALLS)
    with duckdb.connect() as other:
        found = other.execute(f"SELECT count(*), count(DISTINCT exchange_id) FROM '{target}'").fetchall()
    assert found == [(len(CALLS), len(CALLS))]


def test_a_file_that_fails_leaves_what_was_there(reader: DuckReader, tmp_path: Path) -> None:
    target = tmp_path / "calls.parquet"
    target.write_text("kept")
    with pytest.raises(QueryError, match="Conversion Error"):
        files.write_parquet(reader, "SELECT (exchange_id || range)::INTEGER FROM exchanges, range(9)", target)
    assert [path.name for path in tmp_path.iterdir()] == ["calls.parquet"]
    assert target.read_text() == "kept"


def test_a_place_that_cannot_be_written_is_named(reader: DuckReader, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file"):
        files.write_parquet(reader, "SELECT 1", tmp_path / "missing" / "calls.parquet")
