from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from masthead.alerts.baseline import SCALES, Baseline, Hour, Moment
from masthead.alerts.calendar import Calendar
from masthead.alerts.coverage import Coverage

STEPS = 4


def taught(scale: str, hours: int, value: float, calls: float = 100.0, first: int = 0) -> Baseline:
    """Give a baseline of the same value, four times an hour, from a Monday on."""
    baseline = Baseline(SCALES[scale])
    for number in range(first, first + hours):
        for step in range(STEPS):
            baseline.learn(moment(number, (step + 0.5) / STEPS), value, calls)
    return baseline


def moment(number: int, into: float = 0.5) -> Moment:
    return Moment(Hour(number, number % 168), into)


@pytest.mark.parametrize(
    ("scale", "value", "other", "spread"),
    [
        # Poisson's spread on the scale of roots, and 4% of the level.
        ("count", 100.0, 225.0, math.hypot(0.5, 0.04 * math.sqrt(100.375))),
        ("share", 0.02, 0.2, 0.5 / math.sqrt(100)),
        ("size", 0.1, 0.5, math.hypot(0.05, 0.15)),
    ],
)
def test_a_value_without_noise_is_held_against_what_chance_makes(
    scale: str, value: float, other: float, spread: float
) -> None:
    baseline = taught(scale, 400, value)
    judged = baseline.judge(moment(401), value, 100)
    assert judged
    assert judged.expected == pytest.approx(value)
    assert judged.score == pytest.approx(0, abs=1e-6)
    flat = SCALES[scale].flat
    judged = baseline.judge(moment(401), other, 100)
    assert judged
    assert judged.score == pytest.approx((flat(other) - flat(value)) / spread)


def test_it_speaks_when_an_hour_was_seen_twice_on_days_of_its_kind() -> None:
    def speaks(hours: int, at: int) -> bool:
        return taught("count", hours, 100).judge(moment(at), 100, 100) is not None

    monday, tuesday, wednesday, saturday = 0, 24, 48, 120
    assert not speaks(24, tuesday + 5)
    assert not speaks(47, tuesday + 23)
    assert speaks(wednesday + 1, wednesday + 1)
    assert not speaks(saturday + 1, saturday + 1)
    assert not speaks(saturday + 24, saturday + 24 + 5)
    assert speaks(168 + saturday, 168 + saturday + 5)
    assert speaks(168, 168 + monday + 5)


def test_between_the_levels_of_two_hours_nothing_is_unusual() -> None:
    baseline = Baseline(SCALES["count"])
    for number in range(168 * 3):
        value = 1_000.0 if number % 24 >= 12 else 100.0
        for step in range(STEPS):
            baseline.learn(moment(number, (step + 0.5) / STEPS), value, value)
    at_noon = moment(168 * 3 + 12, 0.0)
    for value in (100.0, 400.0, 1_000.0):
        judged = baseline.judge(at_noon, value, value)
        assert judged
        assert judged.score == pytest.approx(0, abs=1e-6)
    judged = baseline.judge(at_noon, 2_000.0, 2_000.0)
    assert judged
    assert judged.score > 6
    assert judged.bound == pytest.approx(1_000)
    assert 300 < judged.expected < 600


def test_an_hour_far_off_is_learned_in_part_only() -> None:
    baseline = taught("count", 400, 100)
    for step in range(STEPS):
        baseline.learn(moment(400, step / STEPS), 10_000, 10_000)
    baseline.learn(moment(401), 100, 100)
    judged = baseline.judge(moment(400 + 168), 100, 100)
    assert judged
    assert 100 < judged.expected < 110


def test_what_lasts_a_day_is_the_new_usual() -> None:
    baseline = taught("count", 400, 100)
    for number in range(400, 426):
        baseline.learn(moment(number), 300, 300)
    judged = baseline.judge(moment(426), 300, 300)
    assert judged
    assert judged.expected == pytest.approx(300, rel=0.1)


def test_it_survives_as_json() -> None:
    baseline = taught("share", 300, 0.1)
    other = Baseline(SCALES["share"])
    other.restore(json.loads(json.dumps(baseline.state())))
    for one in (baseline, other):
        for number in range(300, 340):
            one.learn(moment(number), 0.2, 50)
    assert baseline.judge(moment(341), 0.4, 70) == other.judge(moment(341), 0.4, 70)
    assert baseline.state() == other.state()


def test_hours_of_the_week_are_those_of_the_place() -> None:
    # Sunday 22:30 in UTC is Monday 00:30 in Berlin's summer.
    time_ns = round(datetime(2026, 8, 2, 22, 30, tzinfo=UTC).timestamp() * 1e9)
    assert Calendar().moment(time_ns)[0].of_week == 6 * 24 + 22
    berlin = Calendar(ZoneInfo("Europe/Berlin")).moment(time_ns)
    assert (berlin.hour.of_week, berlin.into) == (0, 0.5)
    winter = round(datetime(2026, 12, 7, 8, 0, tzinfo=UTC).timestamp() * 1e9)
    assert Calendar(ZoneInfo("Europe/Berlin")).moment(winter).hour.of_week == 9


def test_a_range_is_known_when_nine_tenths_of_it_were_watched() -> None:
    coverage = Coverage(1_000)
    assert not coverage.known(10)
    coverage.watched(0, 10)
    assert coverage.known(10)
    assert coverage.known(11)
    assert not coverage.known(20)
    coverage.watched(11, 20)
    assert coverage.known(20)
    coverage.watched(60, 70)
    assert coverage.known(10)
    assert not coverage.known(60)
    other = Coverage(1_000)
    other.restore(json.loads(json.dumps(coverage.state())))
    assert other.state()["gaps"] == [(10, 11), (20, 60)]
