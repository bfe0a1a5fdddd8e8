"""Answers as files and whole calls: Parquet, and batches in the order of time."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb

from masthead.errors import OutputError, QueryError
from masthead.extension import native

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from masthead._native import Batch, Conformed
    from masthead.query.open import Reader
    from masthead.query.questions.scope import Scope

_MINUTE_NS = 60_000_000_000
# Rows that are put in order in memory at once, where a minute does not have more.
SLICE_ROWS = 100_000


def write_parquet(reader: Reader, sql: str, path: Path) -> int:
    """Write an answer to a Parquet file, whole or not at all; gives the rows.

    Raises:
        QueryError: The query can't be answered.
        OutputError: The file can't be written.
    """
    fresh = path.with_name(f"{path.name}.partial")
    try:
        with _told():
            rows: int = native().write_parquet(reader.relation(sql), str(fresh))
        fresh.replace(path)
    except OSError as error:
        what = f"can't be written: {error.strerror or error}"
        raise OutputError(what, str(path), "name a file that this user may write") from error
    finally:
        fresh.unlink(missing_ok=True)
    return rows


def calls_sql(reader: Reader, scope: Scope) -> str:
    """Give the query for whole rows, in no order."""
    return f"SELECT * FROM exchanges WHERE {scope.condition(reader.dialect)}"


def batches(reader: Reader, scope: Scope) -> Iterator[Batch]:
    """Give whole calls in the order of their time, at most `scope.limit` of them.

    Raises:
        QueryError: The query can't be answered.
    """
    left = scope.limit
    for slice_ in slices(reader, scope):
        sql = f"{calls_sql(reader, slice_)} ORDER BY time, exchange_id LIMIT {left}"
        with _told():
            found = native().Conformed(reader.relation(sql))
        while batch := _next(found):
            left -= batch.num_rows
            yield batch
        if not left:
            return


def _next(found: Conformed) -> Batch | None:
    with _told():
        return next(found, None)


@contextmanager
def _told() -> Iterator[None]:
    """Let the engine's errors be the query's: an answer is worked out only while it is written."""
    try:
        yield
    except (duckdb.Error, RuntimeError) as error:
        raise QueryError(str(error).strip(), remedy="ask for less, or raise query.memory (--memory)") from error


def slices(reader: Reader, scope: Scope) -> Iterator[Scope]:
    """Cut a scope into spans of whole minutes that have about `SLICE_ROWS` rows or a single minute's."""
    minute = reader.dialect.minute("time")
    sql = (
        f"SELECT {minute} AS minute, count(*) AS calls FROM exchanges WHERE {scope.condition(reader.dialect)} "
        "GROUP BY minute ORDER BY minute"
    )
    begin = end = rows = 0
    for found, count in reader.ask(sql).rows():
        if rows and rows + count > SLICE_ROWS:
            yield _cut(scope, begin, end)
            rows = 0
        begin, end, rows = begin if rows else found, found + 1, rows + count
    if rows:
        yield _cut(scope, begin, end)


def _cut(scope: Scope, begin: int, end: int) -> Scope:
    since, until = begin * _MINUTE_NS, end * _MINUTE_NS
    return replace(
        scope,
        since_ns=max(scope.since_ns, since),
        until_ns=until if scope.until_ns is None else min(scope.until_ns, until),
    )
