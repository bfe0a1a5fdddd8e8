"""`python -m bench.forecasts`: forecasts of held-back weeks, against the week before. Needs no root."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from masthead.forecast.model import LEVELS, predict
from tests.unit.seasons import KINDS, WEEK, naive, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masthead.forecast.shape import Floats


@dataclass
class Score:
    """Figures of one kind of series; each list has one figure per seed.

    Attributes:
        mase: Mean absolute error over that of the week before within the history (Hyndman, Koehler 2006).
        error: Mean absolute error.
        naive: The same of the week before.
        covered: By level: share of the hours that lay within the interval.
        seconds: CPU of one forecast.
    """

    mase: list[float] = field(default_factory=list)
    error: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    covered: dict[float, list[float]] = field(default_factory=lambda: {level: [] for level in LEVELS})
    seconds: list[float] = field(default_factory=list)

    def add(self, past: Floats, came: Floats, most: float | None) -> None:
        """Forecast one held-back week."""
        began = time.process_time()
        found = predict(past, 0, WEEK, most=most)
        self.seconds.append(time.process_time() - began)
        self.error.append(float(np.mean(np.abs(found.expected - came))))
        self.naive.append(float(np.mean(np.abs(naive(past) - came))))
        self.mase.append(self.error[-1] / float(np.nanmean(np.abs(past[WEEK:] - past[:-WEEK]))))
        for level in LEVELS:
            self.covered[level].append(float(np.mean((found.lower[level] <= came) & (came <= found.upper[level]))))

    def line(self, name: str) -> str:
        """Give them as a row of a table."""
        covered = " | ".join(f"{np.mean(self.covered[level]):.0%}" for level in LEVELS)
        figures = f"{np.mean(self.mase):.2f} | {sum(self.error) / sum(self.naive):.2f} | {covered}"
        return f"| {name} | {figures} | {1000 * np.median(self.seconds):.0f} |"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 when every kind is forecast better than by the week before."""
    parser = argparse.ArgumentParser(prog="python -m bench.forecasts", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="series of each kind (20)")
    parser.add_argument("--weeks", type=int, default=5, help="weeks of history (5)")
    asked = parser.parse_args(arguments)
    print("| series | MASE | error / naive | in 80% | in 95% | CPU, ms |\n| --- | --- | --- | --- | --- | --- |")
    better = True
    for kind in KINDS:
        score = Score()
        for seed in range(100, 100 + asked.seeds):
            score.add(*split(kind, seed, asked.weeks), 1.0 if kind == "ratios" else None)
        print(score.line(kind), flush=True)
        better &= sum(score.error) < sum(score.naive)
    return 0 if better else 1


if __name__ == "__main__":
    sys.exit(main())
