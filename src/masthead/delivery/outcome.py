"""One attempt: what is sent, and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masthead._native import Batch


@dataclass(frozen=True, slots=True)
class Load:
    """Rows that are sent at once.

    Attributes:
        batch: The rows.
        token: The same for the same rows at every attempt, also after a restart; no two loads share one. A server
            that knows tokens keeps a load that comes twice only once.
    """

    batch: Batch
    token: str


@dataclass(frozen=True, slots=True)
class Sent:
    """The server has them.

    Attributes:
        bytes: As they went over the wire.
        refused: Rows that it said it will never take.
        reason: Why not.
        again: Places of rows that it could not take now.
        after: How long it asks to wait with them, seconds.
        cut: Rows that it has without their header fields, for which its limits had no room; they say so themselves.
    """

    bytes: int = 0
    refused: int = 0
    reason: str = ""
    again: Sequence[int] = field(default_factory=tuple)
    after: float | None = None
    cut: int = 0


@dataclass(frozen=True, slots=True)
class Again:
    """Not now: nobody answers, or the server asks to wait, or somebody has to mend something first.

    Attributes:
        reason: Why, in the server's words.
        after: How long it asks to wait, seconds.
    """

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class TooLarge:
    """Too much at once: half of it may pass."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Never: these rows are what is wrong."""

    reason: str


Outcome: TypeAlias = Sent | Again | TooLarge | Refused


class Sender(Protocol):
    """What a sink has of its own: how one load is written and sent, once."""

    def send(self, load: Load) -> Outcome:
        """Make one attempt, within a time limit. It is called on a thread of its own and raises nothing."""

    def close(self) -> None:
        """Let go of connections."""
