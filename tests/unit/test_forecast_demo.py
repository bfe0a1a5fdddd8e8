"""Forecasts of the demo's shop: calls that no model had a part in, through the store, route by route."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.forecasts import of_demo
from dev.demo.history import HOUR_NS, ROUTES, fill
from tests.unit.stored import BEGIN_NS

if TYPE_CHECKING:
    from pathlib import Path

WEEKS = 4


def test_the_last_week_of_the_shop_is_foreseen_better_than_by_the_week_before(tmp_path: Path) -> None:
    # A Monday, so that weeks of the shop and of the test are the same.
    begin = (BEGIN_NS // HOUR_NS + 2 * 24) * HOUR_NS
    said: list[str] = []
    rows = fill(tmp_path / "store", begin, WEEKS, 7, said.append)
    assert rows > 80_000
    assert len(said) == WEEKS
    scores = of_demo(tmp_path / "store", "rate", begin, WEEKS)
    assert set(scores) == {route.path for route in ROUTES}
    assert np.mean([score.mase[0] for score in scores.values()]) < 1
    assert sum(score.error[0] for score in scores.values()) < sum(score.naive[0] for score in scores.values())
    # Intervals that claim 80 % of the hours hold about that, over all routes.
    assert np.mean([score.covered[0.80][0] for score in scores.values()]) > 0.75
