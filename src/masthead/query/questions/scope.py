"""Which calls a question is about, and the pieces that several questions share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from masthead.query.dialect import Dialect

# How many calls the rows of a group stand for.
CALLS = "CAST(floor(sum(sample_weight) + 0.5) AS BIGINT)"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which calls a question is about.

    Attributes:
        since_ns: From when on, nanoseconds since 1970.
        until_ns: Before when; `None`: no end.
        role: `server`, `client` or `both`.
        route: A glob for the route; empty: all.
        where: A condition in the engine's SQL; empty: none.
        limit: How many rows at most.
    """

    since_ns: int = 0
    until_ns: int | None = None
    role: str = "server"
    route: str = ""
    where: str = ""
    limit: int = 100

    def condition(self, dialect: Dialect) -> str:
        """Give it as a condition."""
        return " AND ".join([within(dialect, self.since_ns, self.until_ns), *self.choices(dialect)])

    def choices(self, dialect: Dialect) -> list[str]:
        """Give what it asks for besides the time, as conditions."""
        parts = []
        if self.role != "both":
            # A recording has no roles; its rows count for either.
            parts.append(f"(role = {dialect.literal(self.role)} OR role IS NULL)")
        if self.route:
            parts.append(dialect.matches("route", self.route))
        if self.where:
            # On a line of its own: it may end in a comment.
            parts.append(f"({self.where}\n)")
        return parts


def within(dialect: Dialect, since_ns: int, until_ns: int | None) -> str:
    """Give a span of time as a condition."""
    since = f"time >= {dialect.time(since_ns)}"
    return since if until_ns is None else f"({since} AND time < {dialect.time(until_ns)})"


def whole(value: str) -> str:
    """Round a sum of weights; half goes up, in either engine."""
    return f"CAST(floor({value} + 0.5) AS BIGINT)"


def milliseconds(column: str) -> str:
    """Give nanoseconds as milliseconds."""
    return f"{column} / 1000000.0"
