"""Figures about masthead itself, as any room can give them to the metrics endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, by Prometheus' rules for names.

    Attributes:
        name: With its unit; a counter's without `_total`.
        kind: What its samples are.
        labels: Names of its labels.
        sentence: What it says.
        unit: Of the values, in full (`seconds`, `bytes`); empty where it has none.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    sentence: str
    unit: str = ""

    @property
    def exposed(self) -> str:
        """Its name as queries have it."""
        return f"{self.name}_total" if self.kind == "counter" else self.name


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a counter or gauge, with the values of its labels in the metric's order."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


class Reading(NamedTuple):
    """One value of a counter (its name ends in `_total`) or gauge whose labels are its own, as an alert's are."""

    name: str
    help: str
    labels: Mapping[str, str]
    value: float


class Samples(Protocol):
    """Something that gives samples when asked, from any thread, quickly."""

    def samples(self) -> Iterable[Sample | Reading]:
        """Give the values of now."""
