"""Answers as text: a table for people; CSV, JSON and NDJSON for programs, written as the rows come."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from masthead.sinks.plain import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from masthead.sinks.outlet import Outlet

Row = tuple[Any, ...]


class Rows(Protocol):
    """What can be written: `masthead.query.answer.Answer`, or rows that no engine gave."""

    columns: list[str]

    def chunks(self) -> Iterator[list[Row]]:
        """Give the rows, some at a time."""

    def close(self) -> None:
        """Stop whatever still works on them."""


# A table is laid out as a whole, so it ends somewhere.
TABLE_ROWS = 1_000
# Without a terminal there is no width to fit into.
WIDE = 1_000
_MILLISECONDS = len("2026-11-24T03:00:00.000")


def write_answer(answer: Rows, form: str, outlet: Outlet, before: Callable[[], None] = lambda: None) -> int:
    """Write an answer; gives the number of its rows that were written.

    Args:
        answer: The rows.
        form: A key of `FORMS`.
        outlet: Where to; when its reader leaves, the query is stopped.
        before: Called before each piece is written.

    Raises:
        QueryError: The engine gave up; what came before is written.
    """
    rows = 0
    for text, count in FORMS[form](answer):
        before()
        outlet.write(text.encode(errors="replace"))
        rows += count
        if outlet.gone:
            answer.close()
            break
    return rows


class _Lines:
    """Rows that are all there, in the form of an answer."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Row]) -> None:
        self.columns = list(columns)
        self._rows = list(rows)

    def chunks(self) -> Iterator[list[Row]]:
        """Give them."""
        if self._rows:
            yield self._rows

    def close(self) -> None:
        """There is nothing to stop."""


def write_lines(columns: Sequence[str], rows: Sequence[Row], form: str, outlet: Outlet) -> None:
    """Write rows that no engine gave, as an answer is written."""
    write_answer(_Lines(columns, rows), form, outlet)


def _csv(answer: Rows) -> Iterator[tuple[str, int]]:
    yield from _csv_rows(answer, answer.columns)


def _csv_rows(answer: Rows, heading: Sequence[str] = ()) -> Iterator[tuple[str, int]]:
    chunk = io.StringIO()
    writer = csv.writer(chunk, lineterminator="\n")
    if heading:
        writer.writerow(heading)
    for rows in answer.chunks():
        writer.writerows([[_flat(value) for value in row] for row in rows])
        yield _taken(chunk), len(rows)
    yield _taken(chunk), 0


def _ndjson(answer: Rows) -> Iterator[tuple[str, int]]:
    for rows in answer.chunks():
        yield "".join(f"{_json(answer.columns, row)}\n" for row in rows), len(rows)


def _array(answer: Rows) -> Iterator[tuple[str, int]]:
    before = "[\n"
    for rows in answer.chunks():
        yield before + ",\n".join(_json(answer.columns, row) for row in rows), len(rows)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n", 0


def _table(answer: Rows) -> Iterator[tuple[str, int]]:
    """Lay out at most `TABLE_ROWS` rows, and say so where there are more."""
    rows: list[Row] = []
    for chunk in answer.chunks():
        rows += chunk
        if len(rows) > TABLE_ROWS:
            answer.close()
            break
    shown = rows[:TABLE_ROWS]
    more = (
        f"... and more rows; a table shows {TABLE_ROWS:,}: --output csv gives all\n" if len(rows) > len(shown) else ""
    )
    yield layout(answer.columns, shown) + more, len(shown)


def layout(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """Give rows as a table, as wide as the terminal where there is one."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - takes long to import
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for place, name in enumerate(columns):
        numbers = any(isinstance(row[place], int | float) for row in rows)
        table.add_column(Text(name), justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    for row in rows:
        table.add_row(*(Text(cell(name, value)) for name, value in zip(columns, row, strict=True)))
    console = Console(file=io.StringIO(), width=_width(), color_system=None, soft_wrap=False)
    console.print(table)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())


def _width() -> int:
    import shutil  # noqa: PLC0415
    import sys  # noqa: PLC0415

    return shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE


def cell(name: str, value: object) -> str:
    """Give a value as people read it: times to the millisecond, numbers grouped, control characters escaped."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(name, value)
    if isinstance(value, str) and _is_time(value):
        return f"{value[:_MILLISECONDS]}Z"
    # What strangers sent must not steer the terminal.
    return plain(str(_flat(value)))


def _number(name: str, value: float) -> str:
    if "share" in name:
        return f"{value:.2%}"
    if isinstance(value, int):
        return str(value) if name in _NO_QUANTITY else f"{value:,}"
    return f"{value:,.3f}"


# Numbers that name something, and are not grouped.
_NO_QUANTITY = frozenset({"status", "client_port", "server_port", "process_pid", "network_namespace", "trace_flags"})


def _is_time(text: str) -> bool:
    return len(text) == len("2026-11-24T03:00:00.000000000Z") and text[10] == "T" and text[-1] == "Z"


def _flat(value: object) -> object:
    """Give what is nested as JSON."""
    if isinstance(value, list | dict | tuple):
        return json.dumps(value, ensure_ascii=False, default=_plain)
    return value


def _json(columns: Sequence[str], row: Row) -> str:
    return json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False, separators=(",", ":"), default=_plain)


def _plain(value: object) -> object:
    """Give what JSON has no type for: a decimal as a number, all else as text."""
    return float(value) if isinstance(value, Decimal) else str(value)


def _taken(chunk: io.StringIO) -> str:
    text = chunk.getvalue()
    chunk.seek(0)
    chunk.truncate()
    return text


FORMS: dict[str, Callable[[Rows], Iterator[tuple[str, int]]]] = {
    "table": _table,
    "csv": _csv,
    # CSV without its first line, to be continued.
    "rows": _csv_rows,
    "json": _array,
    "ndjson": _ndjson,
}
