"""What is to be deleted: a decision about names and sizes, without touching a file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from masthead.store.layout import hour_end_ns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from masthead.store.layout import Part

SECOND = 1_000_000_000
# Later than any expiry: what is kept for ever goes last when room is needed.
_NEVER = 1 << 63


@dataclass(frozen=True, slots=True)
class Policy:
    """What the settings ask for.

    Attributes:
        ages: How long each class is kept, seconds; `None`: for ever. Classes that are not named are kept as `default`.
        max_bytes: How much the store may take; 0: no limit.
        min_free: How much of the file system must stay free, bytes; 0: no matter.
        by_age: Whether anything goes for its age alone.
    """

    ages: Mapping[str, float | None] = field(default_factory=lambda: {"default": None})
    max_bytes: int = 0
    min_free: int = 0
    by_age: bool = True

    def expiry_ns(self, part: Part) -> int:
        """Give the time from which on a part is too old."""
        age = self.ages[part.kind] if part.kind in self.ages else self.ages["default"]
        return _NEVER if age is None else hour_end_ns(part.hour) + int(age * SECOND)

    def without_ages(self) -> Policy:
        """Give the same for a clock that is not believed: nothing is too old, the order stays."""
        return replace(self, by_age=False)


@dataclass(frozen=True, slots=True)
class Deletion:
    """A part that has to go, and why."""

    part: Part
    reason: str


def deletions(parts: Iterable[Part], policy: Policy, now_ns: int, other_bytes: int, free: int) -> Iterator[Deletion]:
    """Give what has to go, in order.

    A part goes when the last of its rows is older than its class is kept. When there is still too much, what would go
    next goes first: so errors outlive successes then, too.

    Args:
        parts: All parts.
        policy: What the settings ask for.
        now_ns: The time, nanoseconds since 1970.
        other_bytes: What the store takes besides the parts: journals.
        free: Free bytes of the file system.
    """
    parts = sorted(parts, key=lambda part: (policy.expiry_ns(part), part))
    total = other_bytes + sum(part.bytes for part in parts)
    for part in parts:
        if policy.by_age and policy.expiry_ns(part) <= now_ns:
            kept = policy.ages.get(part.kind, policy.ages["default"])
            reason = f"age: {part.kind} is kept for {kept:g} s"
        elif policy.max_bytes and total > policy.max_bytes:
            reason = f"size: the store took {total} of {policy.max_bytes} bytes"
        elif free < policy.min_free:
            reason = f"space: {free} of {policy.min_free} bytes were free"
        else:
            return
        yield Deletion(part, reason)
        total -= part.bytes
        free += part.bytes
