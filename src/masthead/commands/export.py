"""`masthead export`: calls of the store as a file for other tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.commands import asking
from masthead.errors import OutputError, UsageError
from masthead.sinks import complain
from masthead.sinks.outlet import Outlet

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from masthead.query.open import Reader
    from masthead.query.questions.scope import Scope

_EPILOG = """
examples:
  masthead export --since 1h > calls.ndjson
  masthead export --output parquet --file yesterday.parquet --since 2026-11-23 --until 2026-11-24
  masthead export --output har --file failed.har --where 'status >= 500' --limit 200
  masthead export --output csv --since 15m | head

NDJSON is what run writes. Calls come in the order of time, but in Parquet, which keeps the
store's order. HAR opens in browsers and API tools.
"""
# A file for a browser; more would not open there.
_ALL = 1 << 62


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    asking.add_scope(parser, limit=_ALL)
    parser.add_argument("--headers", choices=("object", "pairs"), default="object", help="form of fields in NDJSON")
    asking.add_flags(parser, ("ndjson", "parquet", "csv", "har"))


def execute(parsed: argparse.Namespace) -> int:
    """Write the calls."""
    scope, form = asking.scope(parsed), parsed.output or "ndjson"
    if form == "parquet" and not parsed.file:
        raise UsageError("Parquet needs a file", "--output", "add --file calls.parquet")
    rows = asking.with_store(parsed, lambda reader: _write(reader, scope, parsed, form), scope.since_ns)
    if parsed.file:
        complain(f"{rows:,} calls in {parsed.file}")
    return 0


def _write(reader: Reader, scope: Scope, parsed: argparse.Namespace, form: str) -> int:
    from masthead.query import files  # noqa: PLC0415 - loaded when there is something to write

    if form == "parquet":
        limited = f"{files.calls_sql(reader, scope)} LIMIT {scope.limit}"
        return files.write_parquet(reader, limited, Path(parsed.file))
    if form == "csv":
        return _csv(reader, scope, parsed.file)
    outlet = Outlet(parsed.file, reader_may_leave=True)
    try:
        rows = _har(reader, scope, outlet) if form == "har" else _ndjson(reader, scope, outlet, parsed.headers)
    finally:
        outlet.close()
    _check(outlet)
    return rows


def _ndjson(reader: Reader, scope: Scope, outlet: Outlet, headers: str) -> int:
    from masthead.query.files import batches  # noqa: PLC0415

    rows = 0
    for batch in batches(reader, scope):
        rows += batch.num_rows - outlet.write(batch.ndjson(headers))
        if outlet.gone:
            break
    return rows


def _har(reader: Reader, scope: Scope, outlet: Outlet) -> int:
    from masthead.query.files import batches  # noqa: PLC0415
    from masthead.query.har import document  # noqa: PLC0415

    rows = 0

    def calls() -> Iterator[dict[str, object]]:
        nonlocal rows
        for batch in batches(reader, scope):
            rows += batch.num_rows
            yield from (json.loads(line) for line in batch.ndjson("pairs").splitlines())

    for piece in document(calls()):
        outlet.write_note(piece.encode())
        if outlet.gone:
            break
    return rows


def _csv(reader: Reader, scope: Scope, file: str) -> int:
    from masthead.query.files import calls_sql, slices  # noqa: PLC0415
    from masthead.query.output import write_answer  # noqa: PLC0415

    outlet, rows = Outlet(file, reader_may_leave=True), 0
    try:
        for slice_ in slices(reader, scope):
            sql = f"{calls_sql(reader, slice_)} ORDER BY time, exchange_id LIMIT {scope.limit - rows}"
            rows += write_answer(reader.ask(sql), "csv" if not rows else "rows", outlet)
            if outlet.gone or rows >= scope.limit:
                break
    finally:
        outlet.close()
    _check(outlet)
    return rows


def _check(outlet: Outlet) -> None:
    """Refuse to call a file whole that is not.

    Raises:
        OutputError: Something could not be written.
    """
    if outlet.incomplete:
        raise OutputError("not all could be written", outlet.name, "make room, and export again")
