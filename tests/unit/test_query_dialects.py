"""Every ready question asked of both engines, over the same rows: the answers are the same, row by row.

ClickHouse is chDB here, the same engine in this process.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from masthead.query import files
from masthead.query.dialect import ClickHouse, Dialect
from masthead.query.duck import DuckReader
from masthead.query.expand import expand
from masthead.query.limits import Limits
from masthead.query.questions import calls, fields, history
from masthead.query.questions.scope import Scope
from tests.unit.stored import BEGIN_NS, HOUR, SECOND, fill, grpc_calls, random_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

session = pytest.importorskip("chdb.session", reason="chdb is not installed")

NOW = BEGIN_NS + 3 * HOUR
SCOPES = {
    "all": Scope(limit=100_000),
    "of a client": Scope(role="client", limit=100_000),
    "both ends": Scope(role="both", limit=7),
    "of a time": Scope(since_ns=BEGIN_NS + 61 * SECOND, until_ns=BEGIN_NS + HOUR, limit=100_000),
    "of a route": Scope(route="/v1/it's/*", limit=100_000),
    "of a route like a pattern": Scope(route="/v1/?[x]*", limit=100_000),
    "where": Scope(where="req('HOST') = 'a.example' AND status <> 401 -- comment", limit=100_000),
    "where a value is odd": Scope(where=r"""req_all('accept')[2] = '\back''quote"' OR resp('x') = ''""", limit=100_000),
    "ago": Scope(where="time > ago('90m')", limit=100_000),
    "of nothing": Scope(since_ns=BEGIN_NS + 10 * HOUR),
}
SPANS = ((BEGIN_NS, BEGIN_NS + HOUR // 60), (BEGIN_NS + HOUR // 60, BEGIN_NS + 2 * HOUR))
QUESTIONS: dict[str, Callable[[Dialect, Scope], str]] = {
    "routes": calls.routes,
    "errors": calls.errors,
    "each error": calls.each_error,
    "slow": calls.slow,
    "headers": fields.headers,
    "values": lambda dialect, scope: fields.values(dialect, scope, "x-*"),
    "history": lambda dialect, scope: history.history(dialect, scope, 5),
    "alive": lambda dialect, scope: history.alive(dialect, scope, 60),
    "quotas": lambda dialect, scope: history.quotas(dialect, scope, 60),
    "diff": lambda dialect, scope: fields.diff(dialect, scope, *SPANS),
}
# ClickHouse reads a backslash in a literal of a condition as DuckDB does not: a user's SQL is the engine's own.
OWN_SQL = {"where a value is odd": r"""req_all('accept')[2] = '\\back''quote"' OR resp('x') = ''"""}


class Engines:
    """The same rows in both."""

    def __init__(self, folder: Path) -> None:
        self.duck = DuckReader(
            fill(folder / "store", [*random_calls(6_000), *grpc_calls(500, 6_000)]), Limits(), now_ns=lambda: NOW
        )
        parquet = folder / "rows.parquet"
        files.write_parquet(self.duck, "SELECT * FROM exchanges", parquet)
        self._house = session.Session(str(folder / "house"))
        create = (
            f"CREATE TABLE exchanges ENGINE = MergeTree ORDER BY tuple() AS SELECT * FROM file('{parquet}', Parquet)"
        )
        self._house.query(create)

    def ask_duck(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        answer = self.duck.ask(sql)
        return answer.columns, answer.rows()

    def ask_house(self, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        asked = expand(sql, ClickHouse(), lambda: NOW)
        quoted = "SETTINGS output_format_json_quote_64bit_integers = 0, output_format_json_quote_denormals = 0"
        found = json.loads(str(self._house.query(f"{asked} {quoted}", "JSONCompact")))
        times = [column["type"].startswith(("DateTime64", "Nullable(DateTime64")) for column in found["meta"]]
        rows = [
            tuple(_time(value) if time else value for value, time in zip(row, times, strict=True))
            for row in found["data"]
        ]
        return [column["name"] for column in found["meta"]], rows

    def close(self) -> None:
        self._house.close()
        self.duck.close()


def _time(text: str | None) -> str | None:
    return None if text is None else f"{text.replace(' ', 'T')}Z"


@pytest.fixture(scope="module")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    made = Engines(tmp_path_factory.mktemp("engines"))
    yield made
    made.close()


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("question", QUESTIONS)
def test_both_engines_give_the_same_answer(engines: Engines, question: str, scope: str) -> None:
    chosen, ask = SCOPES[scope], QUESTIONS[question]
    own = OWN_SQL.get(scope, chosen.where)
    columns, rows = engines.ask_duck(ask(engines.duck.dialect, chosen))
    theirs = Scope(chosen.since_ns, chosen.until_ns, chosen.role, chosen.route, own, chosen.limit)
    other_columns, other_rows = engines.ask_house(ask(ClickHouse(), theirs))
    assert other_columns == columns
    assert len(other_rows) == len(rows)
    for row, other in zip(rows, other_rows, strict=True):
        assert all(map(_same, row, other)), (row, other)
    if scope == "all":
        assert rows


def _same(value: object, other: object) -> bool:
    """Floats come by sums and products in another order and may differ in the last digits; all else is equal."""
    if isinstance(value, float) and isinstance(other, int | float):
        return math.isclose(value, other, rel_tol=1e-9)
    return type(value) is type(other) and value == other
