"""What the verbs share that ask the store: its flags, and the way from a question to its answer on the screen."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import TYPE_CHECKING, Self, TypeVar

from masthead.commands import flags
from masthead.config.model import DEFAULT_STORE
from masthead.errors import QueryError
from masthead.query.open import Reader, open_reader
from masthead.query.questions.scope import Scope
from masthead.query.times import read_time
from masthead.sinks import complain
from masthead.sinks.outlet import Outlet

if TYPE_CHECKING:
    from collections.abc import Callable

    from masthead.query.dialect import Dialect

T = TypeVar("T")

STORE = (flags.Flag("store.path", "--store", "the directory or database to ask (default: store.path)", "PLACE"),)
LIMITS = (
    flags.Flag("query.memory", "--memory", "what the query may take, such as 500MB", "SIZE"),
    flags.Flag("query.timeout", "--timeout", "how long it may take, such as 30s", "AGE"),
)
FORMS = ("table", "csv", "json", "ndjson")
# Before this an answer is expected at once, and a bar would only flicker.
_PATIENCE = 1.0


def add_flags(parser: argparse.ArgumentParser, forms: tuple[str, ...] = FORMS) -> None:
    """Add where to ask, how much it may take, and where the answer goes."""
    flags.add_config_flag(parser)
    flags.add_flags(parser, "store", (*STORE, *LIMITS))
    group = parser.add_argument_group("answer")
    group.add_argument("--output", choices=forms, help="default: table on a terminal, else csv")
    group.add_argument("--file", metavar="FILE", default="", help="append to this file instead of standard output")


def add_scope(parser: argparse.ArgumentParser, since: str = "24h", limit: int = 100) -> None:
    """Add which calls it is about."""
    group = parser.add_argument_group("which calls")
    when = "an age (15m, 2h, 7d) or a time (2026-11-24T03:00, UTC)"
    if since:
        group.add_argument("--since", metavar="WHEN", default=since, help=f"from when on: {when}; default {since}")
        group.add_argument("--until", metavar="WHEN", help="before when")
    group.add_argument("--role", choices=("server", "client", "both"), default="server", help="default: server")
    group.add_argument("--route", metavar="GLOB", default="", help="only calls of these routes")
    group.add_argument("--where", metavar="SQL", default="", help='only calls for which this holds: "status = 429"')
    group.add_argument("--limit", metavar="N", type=_count, default=limit, help=f"at most so many rows ({limit})")


def scope(parsed: argparse.Namespace) -> Scope:
    """Read which calls a question is about.

    Raises:
        UsageError: A time can't be read.
    """
    now = time.time_ns()
    since, until = getattr(parsed, "since", None), getattr(parsed, "until", None)
    return Scope(
        since_ns=read_time(since, now, "--since") if since else 0,
        until_ns=read_time(until, now, "--until") if until else None,
        role=parsed.role,
        route=parsed.route,
        where=parsed.where,
        limit=parsed.limit,
    )


def answer(parsed: argparse.Namespace, question: Callable[[Dialect], str], since_ns: int = 0) -> int:
    """Ask, and write the answer; what is older than `since_ns` is not seen."""
    from masthead.query.output import write_answer  # noqa: PLC0415 - loaded when there is something to write

    outlet = Outlet(parsed.file, reader_may_leave=True)
    form = parsed.output or ("table" if outlet.terminal else "csv")

    def ask(reader: Reader) -> int:
        with Bar() as bar:
            found = reader.ask(question(reader.dialect), bar.show)
            rows = write_answer(found, form, outlet, bar.clear)
        if not rows and outlet.terminal:
            complain("nothing was found; --since and --store tell where it was looked for")
        return rows

    try:
        with_store(parsed, ask, since_ns)
    finally:
        outlet.close()
    return 0


def with_store(parsed: argparse.Namespace, work: Callable[[Reader], T], since_ns: int = 0) -> T:
    """Open the store that is asked for, work with it, and tell what of it could not be read.

    A query that fails on a damaged part is asked once more without that part.

    Raises:
        MastheadError: There is no such store, or the question can't be answered.
    """
    config = flags.settings(parsed).config
    reader = open_reader(config.store.path or DEFAULT_STORE, config, since_ns)
    try:
        try:
            return work(reader)
        except QueryError:
            if not reader.recheck():
                raise
            return work(reader)
    finally:
        for problem in reader.problems:
            complain(problem)
        reader.close()


class Bar:
    """Shows on a terminal how far a long query is."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown = False
        self._terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        self.clear()

    def show(self, share: float | None) -> None:
        """Show how much is done."""
        elapsed = time.monotonic() - self._began
        if not self._terminal or elapsed < _PATIENCE:
            return
        self._shown = True
        done = "" if share is None else f"{'#' * round(share * 30):<30} {share:4.0%}  "
        sys.stderr.write(f"\r\x1b[K{done}{elapsed:.0f} s, Ctrl-C stops")
        sys.stderr.flush()

    def clear(self) -> None:
        """Remove it; what is written next begins on a clean line."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._shown = False


def _count(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text):
        return int(text)
    message = f'"{text}" is no number of rows'
    raise argparse.ArgumentTypeError(message)
