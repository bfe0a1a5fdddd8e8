"""`masthead headers`: which header fields there are, and the values of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.commands import asking
from masthead.query.questions.fields import headers, values

if TYPE_CHECKING:
    import argparse

_EPILOG = """
examples:
  masthead headers --since 1h                 which names exist, how often, sample values
  masthead headers user-agent --route '/v1/orders*'
  masthead headers 'x-ratelimit-*' --where 'status = 429'
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("name", metavar="NAME", nargs="?", help="the values of this field, by route; * and ? allowed")
    asking.add_scope(parser)
    asking.add_flags(parser)


def execute(parsed: argparse.Namespace) -> int:
    """Answer."""
    scope, name = asking.scope(parsed), parsed.name
    if name is None:
        return asking.answer(parsed, lambda dialect: headers(dialect, scope), scope.since_ns)
    return asking.answer(parsed, lambda dialect: values(dialect, scope, name), scope.since_ns)
