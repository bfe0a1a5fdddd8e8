"""The tree of an expression."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Number:
    """A number; durations are in seconds, shares between 0 and 1.

    Attributes:
        value: What it is.
        at: Where it stands in the text.
    """

    value: float
    at: int


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on a key: `status=~"5.."`.

    Attributes:
        key: As `by` takes it.
        sign: `=`, `!=`, `=~` or `!~`; patterns match the whole value.
        value: The text or pattern; an empty text is a key that is absent.
    """

    key: str
    sign: str
    value: str


@dataclass(frozen=True, slots=True)
class Measure:
    """Something measured over a range of time, one value for each series.

    Attributes:
        name: As in `measures.CATALOGUE`.
        at: Where it stands in the text.
        texts: Its arguments that are keys, columns or status classes.
        numbers: Its arguments that are numbers, by name.
        inner: The measure that it looks at, as in `spike(calls)`.
        matchers: Which calls it is about.
        seconds: The range; 0 inside another measure.
        by: The keys that make a series each.
    """

    name: str
    at: int
    texts: tuple[str, ...] = ()
    numbers: Mapping[str, float] = field(default_factory=dict)
    inner: Measure | None = None
    matchers: tuple[Matcher, ...] = ()
    seconds: float = 0
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """Two sides and what joins them: arithmetic, a comparison, `and`, `or` or `unless`."""

    sign: str
    left: Node
    right: Node
    at: int


Node: TypeAlias = Number | Measure | Binary
COMPARISONS = frozenset(("<", "<=", ">", ">=", "==", "!="))
SETS = frozenset(("and", "or", "unless"))
