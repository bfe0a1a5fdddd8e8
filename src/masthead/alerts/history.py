"""Rules over what is stored: the same rows, counted by the same Tally, asked by the same evaluation as live.

A store does not know when masthead was not running: times without rows count as watched. Nor does it know which rows
came too late for the live alerts; here none does.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from masthead.alerts.loss import losses
from masthead.alerts.tables import taken
from masthead.extension import native

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from masthead.alerts.evaluation import Evaluation
    from masthead.alerts.states import Transition
    from masthead.query.open import Reader

# The Tally keeps 1,024 slots open.
_SLOTS = 960
# Calls are looked for up to so long before they ended.
_LONGEST_NS = 86_400_000_000_000
# What no rule can ask for need not be read.
_UNUSED = (
    "exchange_id, connection_id, target, path, query, trace_id, parent_id, trace_flags, request_trailers, "
    "response_trailers, interim, fault"
)
_FIELDS = ", request_fields, response_fields"
_END = "(epoch_ns(time) + coalesce(duration_ns, 0))"


def replayed(
    evaluation: Evaluation,
    reader: Reader,
    since_ns: int,
    until_ns: int,
    lost: Mapping[int, Mapping[str, int]] | None = None,
) -> Iterator[Transition]:
    """Ask rules about stored calls.

    Args:
        evaluation: The rules, knowing nothing yet.
        reader: The store.
        since_ns: Where to begin, nanoseconds since 1970; not before the first call that is stored.
        until_ns: Where to end.
        lost: Losses by the end of their slot.

    Yields:
        Each change of state, in order.

    Raises:
        QueryError: The store can't answer.
    """
    slot_ns, lost = evaluation.slot_ns, lost or {}
    (first, last), *_ = reader.ask(f"SELECT min({_END}), max({_END}) FROM exchanges").rows()  # noqa: S608 - ours
    if first is None:
        return
    begin_ns = -(-max(since_ns, first // slot_ns * slot_ns) // slot_ns) * slot_ns
    end_ns = min(until_ns, (last // slot_ns + 1) * slot_ns) // slot_ns * slot_ns
    tally = native().Tally(evaluation.specification())
    for chunk_ns in range(begin_ns, end_ns, _SLOTS * slot_ns):
        close_ns = min(chunk_ns + _SLOTS * slot_ns, end_ns)
        for batch in native().Conformed(reader.relation(_rows(evaluation.specification(), chunk_ns, close_ns))):
            tally.observe(batch)
        counted = taken(tally.take(close_ns)).slots
        for slot_end in range(chunk_ns + slot_ns, close_ns + 1, slot_ns):
            yield from evaluation.advance(slot_end, counted.get(slot_end, {}), lost.get(slot_end))


def stored_losses(root: Path, slot_ns: int) -> dict[int, Counter[str]]:
    """Give the losses that a store's own log tells of, by the end of their slot."""
    found: dict[int, Counter[str]] = {}
    for name in ("events.1.ndjson", "events.ndjson"):
        path = root / name
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ()
        for line in lines:
            try:
                told = losses(json.loads(line))
            except (ValueError, AttributeError):
                continue
            if told:
                found.setdefault((told[0] // slot_ns + 1) * slot_ns, Counter()).update(told[1])
    return found


def _rows(specification: str, begin_ns: int, end_ns: int) -> str:
    unused = _UNUSED if ".header." in specification else _UNUSED + _FIELDS
    # What ends in the span is asked for; when it began spares the engine what can't be.
    begun = f"time >= make_timestamp_ns({begin_ns - _LONGEST_NS}) AND time < make_timestamp_ns({end_ns})"
    ended = f"{_END} >= {begin_ns} AND {_END} < {end_ns}"
    return f"SELECT * EXCLUDE ({unused}) FROM exchanges WHERE {begun} AND {ended} ORDER BY {_END}"  # noqa: S608 - ours
