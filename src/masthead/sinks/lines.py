"""One row as a line for people: what matters in columns, colour by outcome, nothing that could steer a terminal."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TypeAlias

from rich.console import Console
from rich.text import Text

from masthead.sinks.plain import plain

Cells: TypeAlias = tuple[tuple[str, str], ...]

# Width of each column but the last; a longer cell pushes the others aside, for that line only.
_WIDTHS = (12, 6, 7, 6, 9, 18)
HEADING: Cells = tuple((name, "bold") for name in ("time", "role", "method", "status", "ttfb", "process", "call"))
_STATUS_STYLES = {"1": "cyan", "2": "green", "3": "cyan", "4": "yellow", "5": "bold red"}


class Painter:
    """Turns rows in the form of NDJSON into text.

    Args:
        colour: Whether to colour it.
    """

    def __init__(self, *, colour: bool) -> None:
        self._buffer = io.StringIO()
        self._console = Console(
            file=self._buffer,
            force_terminal=colour,
            color_system="standard" if colour else None,
            no_color=not colour,
            highlight=False,
        )

    def row(self, row: Mapping[str, object], *, headers: bool = False) -> str:
        """Give a row's line, with its fields below it where asked for."""
        text = self.line(_cells(row))
        if headers:
            for side, sign in (("request", ">"), ("response", "<")):
                for name, value in _fields(get(row, f"http.{side}.header")):
                    text += self._paint((f"    {sign} ", "dim"), (f"{name}: ", "cyan"), (value, ""))
        return text

    def line(self, cells: Cells) -> str:
        """Give cells in columns."""
        padded = [(plain(text).ljust(width), style) for (text, style), width in zip(cells, _WIDTHS, strict=False)]
        spaced = [part for cell in padded for part in (cell, (" ", ""))]
        return self._paint(*spaced, *cells[len(_WIDTHS) :])

    def note(self, event: Mapping[str, object]) -> str:
        """Give a line about masthead itself."""
        told = event.get("masthead")
        words = told if isinstance(told, dict) else {}
        rest = ", ".join(f"{name} {value}" for name, value in words.items() if name != "event")
        return self._paint((f"-- masthead: {words.get('event', 'note')}: {rest}", "magenta"))

    def _paint(self, *parts: tuple[str, str]) -> str:
        text = Text(no_wrap=True, end="")
        for part, style in parts:
            text.append(plain(part), style)
        text.rstrip()
        self._console.print(text, soft_wrap=True)
        painted = self._buffer.getvalue()
        self._buffer.seek(0)
        self._buffer.truncate()
        return painted if painted.endswith("\n") else painted + "\n"


def get(row: Mapping[str, object], path: str) -> object:
    """Give the value at a dotted place of a row; `None` where it is absent."""
    value: object = row
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _cells(row: Mapping[str, object]) -> Cells:
    marks = get(row, "masthead.quality")
    call = f"{_text(get(row, 'masthead.authority'))}{_target(row)}" or "-"
    cells = [
        (_clock(_text(row.get("time"))), "dim"),
        (_text(get(row, "masthead.role")) or "-", "dim"),
        (_text(get(row, "http.request.method")) or "-", "bold"),
        _outcome(row),
        (_duration(get(row, "masthead.ttfb_ns")), ""),
        (_process(row), "blue"),
        (call, ""),
    ]
    if isinstance(marks, list) and marks:
        cells.append((f"  [{', '.join(map(str, marks))}]", "magenta"))
    return tuple(cells)


def _outcome(row: Mapping[str, object]) -> tuple[str, str]:
    """Give the status; of a gRPC call that failed gRPC's, since HTTP's is 200 all the same."""
    status = _text(get(row, "http.response.status_code"))
    grpc = get(row, "masthead.grpc_status")
    if isinstance(grpc, int) and grpc > 0:
        return f"{status or '-'}/{grpc}", _STATUS_STYLES["5"]
    return status or "-", _STATUS_STYLES.get(status[:1], "")


def _target(row: Mapping[str, object]) -> str:
    path, query = get(row, "url.path"), get(row, "url.query")
    if path is None:
        return _text(get(row, "masthead.target"))
    return f"{path}?{query}" if query is not None else str(path)


def _clock(time: str) -> str:
    """Give the time of day here, to the millisecond."""
    try:
        return datetime.fromisoformat(time).astimezone().strftime("%H:%M:%S.%f")[:12]
    except ValueError:
        return time or "-"


def _duration(nanoseconds: object) -> str:
    if not isinstance(nanoseconds, int):
        return "-"
    if nanoseconds >= 1_000_000_000:  # noqa: PLR2004 - a second
        return f"{nanoseconds / 1e9:.2f}s"
    if nanoseconds >= 1_000_000:  # noqa: PLR2004 - a millisecond
        return f"{nanoseconds / 1e6:.1f}ms"
    return f"{nanoseconds / 1e3:.0f}us"


def _process(row: Mapping[str, object]) -> str:
    path, pid = _text(get(row, "process.executable.path")), _text(get(row, "process.pid"))
    name = path.rsplit("/", 1)[-1]
    return f"{name}[{pid}]" if pid else name or "-"


def _fields(header: object) -> Iterable[tuple[str, str]]:
    """Give name and value of each field, from either form of NDJSON."""
    if isinstance(header, Mapping):
        for name, values in header.items():
            for value in values:
                yield str(name), str(value)
    elif isinstance(header, list):
        for name, value in header:
            # What HPACK's table did not tell.
            yield "?" if name is None else str(name), "?" if value is None else str(value)


def _text(value: object) -> str:
    return "" if value is None else str(value)
