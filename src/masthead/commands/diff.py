"""`masthead diff`: what changed in the header fields between two times."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from masthead.commands import asking
from masthead.config.units import age_seconds
from masthead.errors import UsageError
from masthead.query.questions.fields import diff
from masthead.query.times import read_time

if TYPE_CHECKING:
    import argparse

_EPILOG = """
examples:
  masthead diff --before 2026-11-24T03:00 --after 2026-11-24T03:10     around a deployment
  masthead diff --before 24h --after 1h --span 30m --route '/v1/*'

Compares the span that ends at --before with the one that begins at --after: which fields
appeared, are gone, have another set of values, or are carried by another share of the calls.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("--before", metavar="WHEN", required=True, help="end of the first span")
    parser.add_argument("--after", metavar="WHEN", required=True, help="begin of the second span")
    parser.add_argument("--span", metavar="AGE", default="1h", help="how long both are (1h)")
    asking.add_scope(parser, since="")
    asking.add_flags(parser)


def execute(parsed: argparse.Namespace) -> int:
    """Answer."""
    now, span = time.time_ns(), _span_ns(parsed.span)
    end, begin = read_time(parsed.before, now, "--before"), read_time(parsed.after, now, "--after")
    if end > begin:
        raise UsageError(
            "--before is later than --after", remedy="--before ends the first span, --after begins the second"
        )
    before, after = (end - span, end), (begin, begin + span)
    scope = asking.scope(parsed)
    return asking.answer(parsed, lambda dialect: diff(dialect, scope, before, after), before[0])


def _span_ns(text: str) -> int:
    try:
        seconds = age_seconds(text)
    except ValueError as error:
        raise UsageError(f'"{text}" {error}', "--span") from None
    if not seconds:
        raise UsageError(f'"{text}" is no length of time', "--span", "write one such as 30m or 1h")
    return int(seconds * 1e9)
