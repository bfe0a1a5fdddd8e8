from __future__ import annotations

import numpy as np
import pytest

from masthead.forecast.changes import cuts, long_run_variance
from masthead.forecast.model import predict
from tests.unit.seasons import DAY, WEEK, growing, noise, seasonal, shape


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.3, 2.0])
@pytest.mark.parametrize("at", [2 * WEEK, 4 * WEEK - 3 * DAY])
def test_a_change_of_level_is_found_where_it_was(factor: float, at: int) -> None:
    draw = np.random.default_rng(int(10 * factor) + at)
    values = 300 * shape(draw, 4 * WEEK) * noise(draw, 4 * WEEK)
    values[at:] *= factor
    found = predict(values, 0, DAY).changes
    assert len(found) == 1
    assert abs(found[0] - at) <= 6


def test_two_changes_are_two() -> None:
    draw = np.random.default_rng(5)
    values = seasonal(draw, 5 * WEEK)
    values[2 * WEEK : 3 * WEEK] *= 1.6
    found = predict(values, 0, DAY).changes
    assert np.abs(np.array(found) - [2 * WEEK, 3 * WEEK]).max() <= 6


def test_steady_traffic_has_none() -> None:
    assert [predict(seasonal(np.random.default_rng(seed), 4 * WEEK), 0, DAY).changes for seed in range(5)] == [[]] * 5
    draws = [np.random.default_rng(seed).normal(0, 1, 4 * WEEK) for seed in range(60)]
    assert [cuts(values) for values in draws] == [[]] * 60
    walks = [np.log(noise(np.random.default_rng(seed), 4 * WEEK, 1.0, 0.7)) for seed in range(60)]
    assert sum(map(len, map(cuts, walks))) <= 3


def test_steady_growth_is_no_change() -> None:
    found = [predict(growing(np.random.default_rng(seed), 5 * WEEK), 0, DAY).changes for seed in range(3)]
    assert found == [[]] * 3


def test_a_short_spike_is_no_change() -> None:
    values = np.random.default_rng(1).normal(0, 1, 4 * WEEK)
    values[300:304] += 40
    assert cuts(values) == []


def test_places_are_those_of_the_series_with_its_gaps() -> None:
    values = np.random.default_rng(2).normal(0, 1, 4 * WEEK)
    values[400:] += 4
    values[100:150] = np.nan
    assert cuts(values) == pytest.approx([400], abs=3)


def test_long_run_variance_grows_with_memory_and_not_with_a_shift() -> None:
    draw = np.random.default_rng(4)
    white = draw.normal(0, 1, 2000)
    kept = np.log(noise(draw, 2000, 1.0, 0.8))
    before = long_run_variance(white)
    assert 0.5 < before < 6
    assert 10 < long_run_variance(kept) < 50
    white[1000:] += 20
    assert long_run_variance(white) < 4 * before + 5


@pytest.mark.parametrize("values", [[], [1.0] * 100, [np.nan] * 50, [1.0, 2.0]])
def test_nothing_is_found_in_nothing(values: list[float]) -> None:
    assert cuts(np.array(values, dtype=np.float64)) == []
