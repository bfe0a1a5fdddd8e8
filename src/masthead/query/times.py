"""Times as people write them: `15m` (ago), `now`, `2026-11-24`, `2026-11-24T03:00`, `2026-11-24T03:00:00+01:00`."""

from __future__ import annotations

from datetime import UTC, datetime

from masthead.config.units import age_seconds
from masthead.errors import UsageError


def read_time(text: str, now_ns: int, flag: str) -> int:
    """Give nanoseconds since 1970.

    Args:
        text: An age, counted back from now, or a date with or without a time; UTC where it names no offset.
        now_ns: The time now.
        flag: Which flag it was given with.

    Raises:
        UsageError: It is no time.
    """
    if text == "now":
        return now_ns
    try:
        age = age_seconds(text)
    except ValueError:
        return _date_ns(text, flag)
    return 0 if age is None else now_ns - int(age * 1e9)


def _date_ns(text: str, flag: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        remedy = "write an age such as 15m, 2h or 7d, or a time such as 2026-11-24T03:00 (UTC)"
        raise UsageError(f'"{text}" is no time', flag, remedy) from None
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    whole = int(found.replace(microsecond=0).timestamp())
    return whole * 1_000_000_000 + found.microsecond * 1_000
