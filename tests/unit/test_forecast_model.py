from __future__ import annotations

import functools

import numpy as np
import pytest

from masthead.forecast.model import Forecast, predict
from masthead.forecast.scale import SCALES
from tests.unit.seasons import DAY, KINDS, WEEK, naive, seasonal, split

SEEDS = range(3)


@functools.cache
def forecast(kind: str, seed: int) -> Forecast:
    return predict(split(kind, seed)[0], 0, WEEK, most=1.0 if kind == "ratios" else None)


@pytest.mark.parametrize("kind", KINDS)
def test_held_back_weeks_are_forecast_better_than_by_the_week_before(kind: str) -> None:
    scaled, errors, naive_errors = [], [], []
    for seed in SEEDS:
        past, came = split(kind, seed)
        error = float(np.mean(np.abs(forecast(kind, seed).expected - came)))
        scaled.append(error / float(np.nanmean(np.abs(past[WEEK:] - past[:-WEEK]))))
        errors.append(error)
        naive_errors.append(float(np.mean(np.abs(naive(past) - came))))
    assert sum(errors) < sum(naive_errors)
    # A series that wanders: the scale is of neighbours in time, the week that is forecast lies farther off.
    assert np.mean(scaled) < (1.3 if kind == "wandering" else 1.0)


@pytest.mark.parametrize("level", [0.80, 0.95])
def test_intervals_cover_what_they_claim(level: float) -> None:
    covered = [
        np.mean((forecast(kind, seed).lower[level] <= came) & (came <= forecast(kind, seed).upper[level]))
        for kind in KINDS
        for seed in SEEDS
        for came in [split(kind, seed)[1]]
    ]
    # Hours of one week err together: a week counts as about ten observations of its own.
    doubt = 2 * np.sqrt(level * (1 - level) / (10 * len(covered)))
    assert np.mean(covered) > level - doubt
    # A level that shifted in the past makes the intervals wider than they need be.
    assert np.mean(covered) < level + doubt + 0.05


def test_intervals_lie_within_each_other_and_in_bounds() -> None:
    for kind in KINDS:
        found = forecast(kind, 0)
        for low, high in ((0.80, 0.95),):
            assert (found.lower[high] <= found.lower[low]).all()
            assert (found.lower[low] <= found.expected).all()
            assert (found.expected <= found.upper[low]).all()
            assert (found.upper[low] <= found.upper[high]).all()
        assert (found.lower[0.95] >= 0).all()
    assert (forecast("ratios", 0).upper[0.95] <= 1).all()


@pytest.mark.parametrize(
    ("days", "method", "longest"),
    [(35, "week", 5 * WEEK // 2), (15, "week", WEEK), (6, "day", 3 * DAY), (2, "level", DAY), (0.9, "none", 0)],
)
def test_a_short_history_says_less_and_not_for_so_long(days: float, method: str, longest: int) -> None:
    found = predict(seasonal(np.random.default_rng(1), round(days * DAY)), 0, 10 * WEEK)
    assert found.method == method
    assert len(found.expected) <= longest
    assert (len(found.expected) > 0) == (method != "none")


def test_what_was_never_known_is_not_forecast() -> None:
    assert predict(np.full(5 * WEEK, np.nan), 0, DAY).method == "none"
    values = np.full(5 * WEEK, np.nan)
    values[::60] = 1.0
    assert predict(values, 0, DAY).method == "none"


def test_hours_before_the_first_call_are_no_history() -> None:
    past, _ = split("shifted", 1)
    found = predict(np.concatenate([np.full(3 * WEEK, np.nan), past]), 0, DAY)
    alone = predict(past, 3 * WEEK, DAY)
    assert found.expected == pytest.approx(alone.expected)
    assert found.changes == [place + 3 * WEEK for place in alone.changes]


def test_a_day_together_is_surer_than_its_hours() -> None:
    found = forecast("counts", 0)
    expected = float(found.expected[:DAY].mean())
    low, high = found.of_day(expected)
    assert low < expected < high
    assert high - low < np.mean(found.upper[0.80][:DAY] - found.lower[0.80][:DAY])


def test_constant_and_empty_traffic_stay_what_they_are() -> None:
    assert predict(np.full(5 * WEEK, 7.0), 0, DAY).expected == pytest.approx(np.full(DAY, 7.0), rel=0.01)
    assert predict(np.zeros(5 * WEEK), 0, DAY).expected == pytest.approx(np.zeros(DAY), abs=1e-6)


def test_steps_may_be_shorter_than_an_hour() -> None:
    draw = np.random.default_rng(3)
    at = np.arange(16 * DAY * 4)
    values = draw.poisson(40 * (1 + 0.8 * np.sin(2 * np.pi * at / 96))).astype(np.float64)
    found = predict(values[:-96], 0, 96, hour=4)
    assert np.mean(np.abs(found.expected - values[-96:])) < np.mean(np.abs(values[-96:] - values[-192:-96]))


def test_scales_lead_there_and_back() -> None:
    values = np.array([0.0, 0.5, 3.0, 1e6])
    for make in SCALES:
        assert make(values).back(make(values).there(values), None) == pytest.approx(values, abs=1e-6)
    assert make(values).back(np.array([-5.0, 50.0]), 1.0) == pytest.approx([0.0, 1.0])
