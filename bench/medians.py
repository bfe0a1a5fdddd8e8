"""Medians of rounds, with the interval that says how far to trust them."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

RESAMPLES = 2_000
Round = TypeVar("Round")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median and its 95% bootstrap interval."""

    value: float
    low: float
    high: float
    rounds: int

    def __format__(self, spec: str) -> str:
        """Give value and interval, each in the format asked for."""
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def as_json(self) -> dict[str, float]:
        """Give the figures by name."""
        return asdict(self)


def estimate(values: Sequence[float]) -> Estimate:
    """Estimate the median of one figure per round."""
    return _bootstrap(list(values), median)


def ratio(pairs: Sequence[tuple[float, float]]) -> Estimate:
    """Estimate the ratio of two medians, from one pair (above, below) per round.

    The medians are divided rather than the pairs: a small divisor of one round would otherwise count for many.
    """
    return _bootstrap(list(pairs), _median_ratio)


def _median_ratio(pairs: Sequence[tuple[float, float]]) -> float:
    below = median(pair[1] for pair in pairs)
    return median(pair[0] for pair in pairs) / below if below else float("nan")


def _bootstrap(rounds: list[Round], figure: Callable[[Sequence[Round]], float]) -> Estimate:
    # The same seed each time: the same figures give the same interval.
    source = random.Random(1)  # noqa: S311 - resampling, no secret
    found = sorted(figure(source.choices(rounds, k=len(rounds))) for _ in range(RESAMPLES))
    return Estimate(figure(rounds), found[int(0.025 * RESAMPLES)], found[int(0.975 * RESAMPLES)], len(rounds))
