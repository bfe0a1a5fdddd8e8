"""`masthead query`: any question in SQL."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.commands import asking
from masthead.errors import InputError, UsageError
from masthead.query.times import read_time

if TYPE_CHECKING:
    import argparse

    from masthead.query.open import Reader

_EPILOG = """
examples:
  masthead query "SELECT route, count(*) FROM exchanges GROUP BY route ORDER BY 2 DESC"
  masthead query "SELECT time, target, req('user-agent') FROM exchanges
                  WHERE status = 429 AND time > ago('2h')"
  masthead query --output parquet --file calls.parquet "FROM exchanges WHERE status >= 500"
  masthead query -f question.sql --output ndjson | jq .

exchanges has one row for each call (masthead query "DESCRIBE exchanges"). req('NAME') and
resp('NAME') give the first value of a header field, req_all and resp_all the list of all,
ago('15m') a time. The query reads the store and nothing else, also while run writes to it.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("sql", metavar="SQL", nargs="?", help="the question; - for standard input")
    parser.add_argument("-f", "--from", dest="script", metavar="FILE", help="read the question from a file")
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="look only at calls from then on (2h, 2026-11-24T03:00): spares opening the rest",
    )
    asking.add_flags(parser, (*asking.FORMS, "parquet"))


def execute(parsed: argparse.Namespace) -> int:
    """Ask one question."""
    sql, since_ns = _question(parsed), read_time(parsed.since, time.time_ns(), "--since") if parsed.since else 0
    if parsed.output != "parquet":
        return asking.answer(parsed, lambda _: sql, since_ns)
    if not parsed.file:
        raise UsageError("Parquet needs a file", "--output", "add --file calls.parquet")

    def write(reader: Reader) -> int:
        from masthead.query.files import write_parquet  # noqa: PLC0415 - loaded when asked for

        return write_parquet(reader, sql, Path(parsed.file))

    asking.with_store(parsed, write, since_ns)
    return 0


def _question(parsed: argparse.Namespace) -> str:
    if (parsed.sql is None) == (parsed.script is None):
        raise UsageError("one question is needed", remedy='masthead query "SELECT ..." or masthead query -f FILE')
    if parsed.sql == "-":
        return sys.stdin.read()
    if parsed.sql is not None:
        return str(parsed.sql)
    try:
        return Path(parsed.script).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"can't be read: {getattr(error, 'strerror', None) or error}"
        raise InputError(what, parsed.script, "name a file with a question in SQL") from error
