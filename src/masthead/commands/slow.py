"""`masthead slow`: the slowest calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.commands import asking
from masthead.query.questions.calls import slow

if TYPE_CHECKING:
    import argparse

_EPILOG = """
examples:
  masthead slow --since 15m
  masthead slow --route '/v1/orders*' --where "status < 500" --limit 5
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    asking.add_scope(parser, limit=20)
    asking.add_flags(parser)


def execute(parsed: argparse.Namespace) -> int:
    """Answer."""
    scope = asking.scope(parsed)
    return asking.answer(parsed, lambda dialect: slow(dialect, scope), scope.since_ns)
