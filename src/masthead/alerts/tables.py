"""What is to be counted: the tables that the extension's Tally keeps, and the groups that it gives of each slot."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

# Where a group stands that had no room in its table any more.
OTHER = "_other"
# What one table holds of each slot.
GROUPS = 1_000


@dataclass(frozen=True, slots=True)
class Group:
    """What was counted of one slot for one set of keys.

    Attributes:
        key: A value for each key of the table; `None` where a call had none.
        weight: How many calls.
        measures: One for each measure of the table: for a histogram a list of counts (one more than its bounds), for a
            sum the sum and the number of calls that have the column, else a number, or `None`.
        rows: How many rows those calls are, where calls are sampled; `None`: as many.
    """

    key: tuple[str | None, ...]
    weight: float
    measures: Sequence[Any] = ()
    rows: int | None = None


# The groups of one slot by table.
Counted: TypeAlias = Mapping[str, Sequence[Group]]
Form: TypeAlias = Mapping[str, object]


@dataclass(slots=True)
class Table:
    """A table of the Tally.

    Attributes:
        name: In the specification.
        where: Which calls count: for each key the values that it may have, `None` for a key that is absent.
        by: The keys that make a group.
        measures: What is measured besides the number of calls.
    """

    name: str
    where: Mapping[str, tuple[str | None, ...]]
    by: tuple[str, ...]
    measures: list[Form] = field(default_factory=list)

    def measure(self, form: Form) -> int:
        """Have something measured; gives its place among the measures of a group."""
        if form not in self.measures:
            self.measures.append(form)
        return self.measures.index(form)

    def place(self, key: str) -> int:
        """Give the place of a key in a group's key."""
        return self.by.index(key)


class Tables:
    """The tables that a set of rules needs, each once."""

    def __init__(self) -> None:
        self._tables: dict[tuple[object, ...], Table] = {}

    def table(self, where: Mapping[str, tuple[str | None, ...]], by: Iterable[str]) -> Table:
        """Give the table with these conditions and keys."""
        keys = tuple(sorted(set(by)))
        same = (tuple(sorted(where.items())), keys)
        if same not in self._tables:
            self._tables[same] = Table(f"alerts_{len(self._tables)}", where, keys)
        return self._tables[same]

    def specification(self, slot_ns: int, cap: int = GROUPS) -> dict[str, object]:
        """Give what `masthead._native.Tally` is made with, as JSON has it."""
        return {
            "tables": [
                {
                    "name": table.name,
                    "where": {key: list(values) for key, values in table.where.items()},
                    "by": list(table.by),
                    "cap": cap,
                    "slot_ns": slot_ns,
                    "measures": list(table.measures),
                }
                for table in self._tables.values()
            ]
        }


@dataclass(frozen=True, slots=True)
class Taken:
    """What the Tally gave.

    Attributes:
        slots: What was counted by the end of the slot.
        late: Rows so far that came after their slot was taken, or without a time.
        overflowed: Rows so far that had no room in their table.
    """

    slots: Mapping[int, Counted]
    late: int
    overflowed: int


def taken(text: str) -> Taken:
    """Read what `Tally.take` gives."""
    slots: dict[int, dict[str, list[Group]]] = {}
    late = overflowed = 0
    for name, table in json.loads(text)["tables"].items():
        late = max(late, table["late"] + table["refused"])
        overflowed += table["overflow"]["rows"]
        for slot in table["slots"]:
            groups = slots.setdefault(slot["end_ns"], {}).setdefault(name, [])
            groups += [_group(group) for group in slot["groups"]]
    return Taken(slots, late, overflowed)


def _group(group: Mapping[str, Any]) -> Group:
    return Group(
        tuple(group["keys"]), group["calls"], [_measured(measure) for measure in group["measures"]], group["rows"]
    )


def _measured(measure: Mapping[str, Any]) -> object:
    if "counts" in measure:
        return measure["counts"]
    if "sum" in measure:
        return measure["sum"], measure["count"]
    return measure["value"]
