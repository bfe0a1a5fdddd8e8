"""The account of everything seen, logged and lost, as the extension keeps it and as Python completes it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# What is missing from the log although it should be there. `rows.filtered` and `rows.sampled_out` were asked for.
_LOSSES = ("kernel.refused.", "tls.lost.", "records.failed.", "rows.failed_at_sink", "notes.gaps")
# Sections of which nothing is shown that never happened.
_REMARKS = ("tls", "notes")
_SECTIONS = ("kernel", "tls", "records", "rows", "notes")


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts by dotted name, such as `kernel.refused.ring_full`.

    Attributes:
        counts: The counts.
        closed: Whether what came in equals what went out plus what is still held.
    """

    counts: Mapping[str, int]
    closed: bool = True

    @classmethod
    def from_json(cls, text: str) -> Ledger:
        """Read the extension's ledger."""
        data = json.loads(text)
        return cls(dict(_flat(data)), closed=bool(data.get("closed", True)))

    def with_failures(self, rows: int) -> Ledger:
        """Move rows from written to failed_at_sink."""
        counts = dict(self.counts)
        counts["rows.written"] = counts.get("rows.written", 0) - rows
        counts["rows.failed_at_sink"] = counts.get("rows.failed_at_sink", 0) + rows
        return Ledger(counts, closed=self.closed)

    def with_note(self, name: str, count: int) -> Ledger:
        """Add a count that is not part of the balance."""
        return Ledger({**self.counts, f"notes.{name}": count}, closed=self.closed)

    def plus(self, other: Ledger) -> Ledger:
        """Add two accounts, as of several files."""
        counts = Counter(self.counts)
        counts.update(other.counts)
        return Ledger(dict(counts), closed=self.closed and other.closed)

    def lost(self) -> dict[str, int]:
        """Give the counts of what is missing from the log, without the zeros."""
        return {name: count for name, count in self.counts.items() if count and name.startswith(_LOSSES)}

    def since(self, earlier: Ledger) -> dict[str, int]:
        """Give by how much each count has changed."""
        changes = {name: count - earlier.counts.get(name, 0) for name, count in self.counts.items()}
        return {name: change for name, change in changes.items() if change}

    def lost_since(self, earlier: Ledger) -> dict[str, int]:
        """Give by how much each loss has grown."""
        return {name: change for name, change in self.since(earlier).items() if name.startswith(_LOSSES)}

    def nested(self) -> dict[str, object]:
        """Give the account as the extension writes it."""
        return {**nest(self.counts), "closed": self.closed}

    def text(self) -> str:
        """Give the account for people, one line for each stage."""
        lines = []
        for section in _SECTIONS:
            shown = [f"{name} {count:,}" for name, count in self._shown(section)]
            if shown:
                lines.append(f"  {section:<8}" + "  ".join(shown))
        balance = "everything is accounted for" if self.closed else "DOES NOT ADD UP: please report this as a defect"
        return "\n".join(["ledger", *lines, f"  {balance}"])

    def _shown(self, section: str) -> Iterable[tuple[str, int]]:
        prefix = f"{section}."
        for name, count in self.counts.items():
            short = name.removeprefix(prefix)
            # A reason that never happened says nothing; the stages themselves do, at zero too.
            if name.startswith(prefix) and (count or "." not in short) and (count or section not in _REMARKS):
                yield short.replace(".", ":"), count


def nest(counts: Mapping[str, int]) -> dict[str, object]:
    """Turn dotted names into nested objects."""
    tree: dict[str, object] = {}
    for name, count in counts.items():
        *parents, last = name.split(".")
        place = tree
        for parent in parents:
            inner = place.setdefault(parent, {})
            if not isinstance(inner, dict):
                break
            place = inner
        place[last] = count
    return tree


def _flat(data: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, int]]:
    for name, value in data.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            yield f"{prefix}{name}", value
