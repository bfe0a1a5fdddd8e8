"""`masthead routes`: what is called, how often, how fast, how well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.commands import asking
from masthead.query.questions.calls import routes

if TYPE_CHECKING:
    import argparse

_EPILOG = """
examples:
  masthead routes --since 1h
  masthead routes --since 2026-11-23 --until 2026-11-24 --output csv --file monday.csv
  masthead routes --where "req('x-tenant') = 'acme'"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    asking.add_scope(parser)
    asking.add_flags(parser)


def execute(parsed: argparse.Namespace) -> int:
    """Answer."""
    scope = asking.scope(parsed)
    return asking.answer(parsed, lambda dialect: routes(dialect, scope), scope.since_ns)
