"""`python -m bench.forecasts`: forecasts of held-back weeks, against the week before. Needs no root."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dev.demo.history import DAYS_OF_A_WEEK, HOUR_NS, fill
from masthead.forecast.ask import read
from masthead.forecast.model import LEVELS, predict
from masthead.forecast.outlook import outlooks
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.query.questions.scope import Scope
from tests.unit.seasons import KINDS, WEEK, naive, split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from masthead.forecast.model import Forecast
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
        self.judge(found, past, came)

    def judge(self, found: Forecast, past: Floats, came: Floats) -> None:
        """Compare a forecast with what came; hours of which nothing is known count for nobody."""
        known = ~np.isnan(came) & ~np.isnan(naive(past))
        self.error.append(float(np.mean(np.abs(found.expected[:WEEK] - came)[known])))
        self.naive.append(float(np.mean(np.abs(naive(past) - came)[known])))
        self.mase.append(self.error[-1] / float(np.nanmean(np.abs(past[WEEK:] - past[:-WEEK]))))
        for level in LEVELS:
            inside = (found.lower[level][:WEEK] <= came) & (came <= found.upper[level][:WEEK])
            self.covered[level].append(float(np.mean(inside[known])))

    def line(self, name: str) -> str:
        """Give them as a row of a table."""
        covered = " | ".join(f"{np.mean(self.covered[level]):.0%}" for level in LEVELS)
        figures = f"{np.mean(self.mase):.2f} | {sum(self.error) / sum(self.naive):.2f} | {covered}"
        seconds = f"{1000 * np.median(self.seconds):.0f}" if self.seconds else ""
        return f"| {name} | {figures} | {seconds} |"


def of_demo(root: Path, metric: str, begin_ns: int, weeks: int) -> dict[str | None, Score]:
    """Forecast the last week of the demo's shop from those before it, route by route, as `masthead forecast` does."""
    end = begin_ns + weeks * WEEK * HOUR_NS
    reader = DuckReader(root, Limits())
    try:

        def look(now_ns: int, hours: int) -> dict[str | None, tuple[Floats, Forecast]]:
            ask = read(metric, "", Scope(role="", limit=20), now_ns, ahead_hours=hours)
            return {found.series.key[0]: (found.series.values, found.forecast) for found in outlooks(reader, ask)}

        before, after = look(end - WEEK * HOUR_NS, WEEK), look(end, 1)
    finally:
        reader.close()
    scores: dict[str | None, Score] = {}
    for route, (past, found) in before.items():
        # What never changes (a route without errors) has no scale to be measured by.
        if np.nanmax(past) > np.nanmin(past):
            scores[route] = Score()
            scores[route].judge(found, past, after[route][0][-WEEK:])
    return scores


def _print_demo(seed: int, weeks: int) -> bool:
    better = True
    begin = time.time_ns() // HOUR_NS * HOUR_NS - (weeks + 1) * DAYS_OF_A_WEEK * 24 * HOUR_NS
    with tempfile.TemporaryDirectory(prefix="masthead-demo-") as folder:
        fill(Path(folder) / "store", begin, weeks + 1, seed, lambda line: print(line, file=sys.stderr))
        for metric in ("rate", "p95", "errors"):
            scores = of_demo(Path(folder) / "store", metric, begin, weeks + 1)
            for route, score in scores.items():
                print(score.line(f"{metric} of {route}"), flush=True)
            better &= float(np.mean([score.mase[0] for score in scores.values()])) < 1
    return better


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0 when every kind is forecast better than by the week before."""
    parser = argparse.ArgumentParser(prog="python -m bench.forecasts", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, help="series of each kind (20)")
    parser.add_argument("--weeks", type=int, default=5, help="weeks of history (5)")
    parser.add_argument("--demo", action="store_true", help="the calls of the demo's shop instead, out of a store")
    asked = parser.parse_args(arguments)
    print("| series | MASE | error / naive | in 80% | in 95% | CPU, ms |\n| --- | --- | --- | --- | --- | --- |")
    if asked.demo:
        return 0 if _print_demo(7, asked.weeks) else 1
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
