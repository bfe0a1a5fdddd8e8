"""`masthead errors`: what went wrong, by route and status or call by call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.commands import asking
from masthead.query.questions.calls import each_error, errors

if TYPE_CHECKING:
    import argparse

_EPILOG = """
examples:
  masthead errors --since 1h
  masthead errors --each --route '/v1/orders*' --limit 100
  masthead errors --each --where "status = 401 AND req('authorization') IS NULL"

An error is a status 4xx or 5xx, a gRPC status other than OK, a call without an answer, a reset, or a malformed message.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("--each", action="store_true", help="call by call, the latest first, instead of counted")
    asking.add_scope(parser)
    asking.add_flags(parser)


def execute(parsed: argparse.Namespace) -> int:
    """Answer."""
    scope, question = asking.scope(parsed), each_error if parsed.each else errors
    return asking.answer(parsed, lambda dialect: question(dialect, scope), scope.since_ns)
