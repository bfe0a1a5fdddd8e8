"""What masthead lost, read from the lines that it writes about itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime

# Of the account only what is missing from the log; as in `masthead.ledger`.
_LOSSES = ("kernel.refused.", "records.failed.", "rows.failed_at_sink", "notes.gaps")


def losses(event: Mapping[str, object]) -> tuple[int, Mapping[str, int]] | None:
    """Give the time (nanoseconds since 1970) and the losses by name of a line; `None` where it tells of none."""
    told, time = event.get("masthead"), event.get("time")
    if not isinstance(told, Mapping) or told.get("event") != "loss" or not isinstance(time, str):
        return None
    counts = Counter({name: count for name, count in _flat(told) if count > 0 and name.startswith(_LOSSES)})
    moment = datetime.fromisoformat(time)
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000, counts


def _flat(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, int]]:
    for name, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif isinstance(value, int) and not isinstance(value, bool):
            yield f"{prefix}{name}", value
