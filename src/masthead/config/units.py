"""Ages and sizes as people write them: `14d`, `90m`, `20GB`, `5%`."""

from __future__ import annotations

import re

_AGES = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_SIZES = {"": 1, "b": 1}
_SIZES |= {f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)}
_SIZES |= {f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)}
FOR_EVER = "forever"


def age_seconds(text: str) -> float | None:
    """Read an age such as `14d`; `None` for `forever`.

    Raises:
        ValueError: It is none.
    """
    if text == FOR_EVER:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdwy])", text.strip())
    if not found:
        message = 'should be an age such as "90s", "30m", "12h", "14d" or "2w", or "forever"'
        raise ValueError(message)
    return float(found[1]) * _AGES[found[2]]


def size_bytes(text: str) -> float:
    """Read a size such as `20GB`, or a share such as `5%` (as 0.05); 0 where it is empty.

    Raises:
        ValueError: It is none.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%|[a-z]*)", text.strip().lower() or "0")
    if found and found[2] == "%" and float(found[1]) < 100:  # noqa: PLR2004 - per cent
        return float(found[1]) / 100
    if not found or found[2] not in _SIZES:
        message = 'should be a size such as "500MB" or "20GiB"'
        raise ValueError(message)
    return int(float(found[1]) * _SIZES[found[2]])
