"""Short forms in a query: `req('user-agent')`, `resp('server')`, `req_all('accept')`, `ago('15m')`.

They are replaced in the text, outside of strings, comments and quoted names, by what the dialect has for them; all else
is the engine's own SQL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from masthead.config.units import age_seconds
from masthead.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from masthead.query.dialect import Dialect

# What is left alone, and the calls that are replaced. Block comments don't nest in either dialect.
_PIECE = re.compile(
    r"""
    (?P<other> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$\$.*?\$\$ )
    | (?<![\w.]) (?P<name> req_all | resp_all | req | resp | ago ) \s* \( \s* (?P<text> '(?:[^']|'')*' ) \s* \)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
SIDES = {"req": "request_fields", "resp": "response_fields"}


def expand(sql: str, dialect: Dialect, now_ns: Callable[[], int]) -> str:
    """Replace the short forms.

    Args:
        sql: A query or a condition.
        dialect: What they become.
        now_ns: The time that `ago` counts back from, nanoseconds since 1970.

    Raises:
        QueryError: An age can't be read.
    """

    def replaced(found: re.Match[str]) -> str:
        if found["other"] is not None:
            return found[0]
        name, text = found["name"].lower(), found["text"][1:-1].replace("''", "'")
        if name == "ago":
            return dialect.time(now_ns() - _age_ns(text))
        side, _, every = name.partition("_")
        column = SIDES[side]
        return dialect.header_all(column, text) if every else dialect.header(column, text)

    return _PIECE.sub(replaced, sql)


def _age_ns(text: str) -> int:
    try:
        seconds = age_seconds(text)
    except ValueError as error:
        raise QueryError(f"ago('{text}'): {error}") from error
    if seconds is None:
        raise QueryError(f"ago('{text}'): nothing is that long ago", remedy="leave the condition out")
    return int(seconds * 1e9)
