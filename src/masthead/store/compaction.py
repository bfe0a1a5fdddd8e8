"""What is to be merged: a decision about names and sizes, without touching a file."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from masthead.store.layout import Part

# Parts of about one size are merged when there are so many of them: each row is then written anew only a few times,
# once for each power of eight.
FAN_IN = 8
# Larger parts are left alone.
FULL_BYTES = 256 << 20
# Parts below this size count as equally small.
SMALLEST = 1 << 20


def merges(parts: Iterable[Part], current_hour: str) -> Iterator[tuple[Part, ...]]:
    """Give runs of parts that should be one part, each of one class and hour.

    While an hour lasts, `FAN_IN` neighbours of one size class are merged. When it is over, all that is not full yet is.
    """
    ordered = sorted(parts, key=lambda part: (part.kind, part.hour, part.first))
    for (_, hour), group in itertools.groupby(ordered, key=lambda part: (part.kind, part.hour)):
        run = list(group)
        yield from _all(run) if hour < current_hour else _alike(run)


def _alike(parts: list[Part]) -> Iterator[tuple[Part, ...]]:
    for _, group in itertools.groupby(parts, key=_size_class):
        run = list(group)
        if _size_class(run[0]) is None:
            continue
        for start in range(0, len(run) - FAN_IN + 1, FAN_IN):
            yield tuple(run[start : start + FAN_IN])


def _all(parts: list[Part]) -> Iterator[tuple[Part, ...]]:
    run: list[Part] = []
    for part in parts:
        if run and sum(other.bytes for other in run) + part.bytes > FULL_BYTES:
            yield from [tuple(run)] if len(run) > 1 else []
            run = []
        run.append(part)
    if len(run) > 1:
        yield tuple(run)


def _size_class(part: Part) -> int | None:
    if part.bytes >= FULL_BYTES:
        return None
    return max(0, (part.bytes // SMALLEST).bit_length() // 3)
