from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import masthead
from masthead.errors import ConfigError, QueryError, StoreError, UsageError
from tests.unit.stored import BEGIN_NS, HOUR, fill, random_calls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from masthead.api.store import Store

CALLS = random_calls(4_000)
BEGIN = datetime(2026, 8, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("store"), CALLS)


@pytest.fixture
def store(root: Path) -> Iterator[Store]:
    with masthead.open(str(root)) as opened:
        yield opened


def test_sql_gives_relations_with_whole_nanoseconds(store: Store) -> None:
    found = store.sql("SELECT epoch_ns(min(time)), count(*) FROM exchanges").fetchall()
    assert found == [(BEGIN_NS, len(CALLS))]


def test_exchanges_are_chosen_by_time_and_condition(store: Store) -> None:
    found = store.exchanges(since=BEGIN + timedelta(hours=1), where="req('host') = 'a.example'", role="client")
    expected = {
        row["exchange_id"]
        for row in CALLS
        if row["time"] >= BEGIN_NS + HOUR
        and row["role"] in {"client", None}
        and {"name": "Host", "value": "a.example"} in row["request_fields"]
    }
    assert {row[0] for row in found.select("exchange_id").fetchall()} == expected
    assert len(store.exchanges(limit=3).fetchall()) == 3
    assert found.columns[0] == "time"


@pytest.mark.parametrize(
    "when",
    [
        "2026-08-01T01:00",
        datetime(2026, 8, 1, 1),  # noqa: DTZ001 - one without an offset is UTC
        datetime(2026, 8, 1, 3, tzinfo=timezone(timedelta(hours=2))),
    ],
)
def test_times_are_utc_unless_they_say_otherwise(store: Store, when: str | datetime) -> None:
    assert len(store.exchanges(since=when).fetchall()) == 400


def test_ready_questions_are_methods(store: Store) -> None:
    assert store.routes(limit=1).fetchall()
    assert store.errors(where="status = 404").fetchall()
    assert store.slow(role="both", limit=5).columns[0] == "duration_ms"
    assert "host" in {row[1] for row in store.headers().fetchall()}
    assert {row[1] for row in store.headers("X-ID", limit=10).fetchall()} == {"x-id"}
    hour = timedelta(hours=1)
    assert "change" in store.diff((BEGIN, BEGIN + hour), (BEGIN + hour, BEGIN + 2 * hour)).columns


def test_mistakes_are_of_one_family(store: Store, tmp_path: Path) -> None:
    with pytest.raises(QueryError):
        store.sql("SELECT nothing FROM exchanges")
    with pytest.raises(UsageError, match="soon"):
        store.exchanges(since="soon")
    with pytest.raises(StoreError, match="no such directory"):
        masthead.open(str(tmp_path / "missing"))
    with pytest.raises(ConfigError, match="unknown setting"):
        masthead.open(str(tmp_path), memory="1GB")


def test_polars_pandas_and_pyarrow_take_answers(store: Store) -> None:
    polars, pyarrow = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    pytest.importorskip("pandas")
    frame = polars.DataFrame(store.exchanges())
    assert frame.height == len(CALLS)
    assert frame.schema["time"] == polars.Datetime("ns")
    assert store.routes().df()["calls"].sum() == store.routes().pl()["calls"].sum() > 0
    table = pyarrow.table(store.exchanges(limit=7))
    assert table.num_rows == 7
    assert table.schema.field("request_fields").type == pyarrow.list_(
        pyarrow.struct([("name", pyarrow.string()), ("value", pyarrow.string())])
    )


def test_nothing_heavy_is_imported_until_asked_for() -> None:
    code = "import sys, masthead; print([name for name in ('duckdb', 'pydantic', 'rich') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd())
    assert found.stdout == "[]\n"
