from __future__ import annotations

import json
import random

import pytest

from masthead.alerts.windows import BUCKETS, Window

SLOT = 15
A, B = ("a",), ("b",)


def test_a_range_of_few_slots_is_exact() -> None:
    window = Window(60e-9, SLOT)
    draw = random.Random(1)
    added: dict[int, float] = {}
    for end in range(SLOT, SLOT * 200, SLOT):
        added[end] = draw.choice([0.0, 1.0, 2.5, 1e6])
        if added[end]:
            window.add(end, A, {0: added[end]})
        window.advance(end)
        wanted = sum(value for at, value in added.items() if end - 60 < at <= end)
        assert window.parts(A).get(0, 0.0) == pytest.approx(wanted)


@pytest.mark.parametrize("slots", [1, 59, 60, 61, 119, 600, 5_761])
def test_a_long_range_is_short_by_at_most_a_bucket_and_bounded(slots: int) -> None:
    window = Window(slots * SLOT * 1e-9, SLOT)
    width = -(-slots // BUCKETS)
    for end in range(SLOT, SLOT * (slots * 2 + 50), SLOT):
        window.add(end, A, {0: 1.0})
        window.advance(end)
        held = window.parts(A)[0]
        assert held <= min(slots, end // SLOT)
        assert held >= min(slots - width, end // SLOT) or slots == 1
    assert len(window.state()["series"][0][1]) <= BUCKETS + 1


def test_what_does_not_add_up_is_picked() -> None:
    smallest = Window(45e-9, SLOT, min)
    for end, value in ((15, 5.0), (30, 2.0), (45, 9.0), (60, 7.0)):
        smallest.add(end, A, {0: value})
        smallest.advance(end)
    assert smallest.parts(A) == {0: 2.0}
    smallest.advance(75)
    assert smallest.parts(A) == {0: 7.0}


def test_series_beyond_the_cap_are_one_and_counted() -> None:
    window = Window(60e-9, SLOT, cap=1)
    for labels in (A, B, ("c",)):
        window.add(15, labels, {0: 1.0})
    window.advance(15)
    assert sorted(window.series()) == [("_other",), A]
    assert window.overflowed == 2


def test_it_survives_as_json() -> None:
    window = Window(60e-9, SLOT)
    for end in range(15, 75, SLOT):
        window.add(end, A, {0: 1.0, 7: 2.0})
    other = Window(60e-9, SLOT)
    other.restore(json.loads(json.dumps(window.state())))
    for one in (window, other):
        one.advance(90)
    assert other.parts(A) == window.parts(A) == {0: 2.0, 7: 4.0}
    assert other.state() == window.state()
