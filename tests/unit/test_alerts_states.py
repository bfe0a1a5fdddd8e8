from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

import pytest

from masthead.alerts.states import RESOLVED_NS, Lives, Transition
from masthead.alerts.tables import Group
from tests.unit.alerting import SLOT, evaluated, rules

Found: TypeAlias = Mapping[tuple[str, ...], tuple[float, Mapping[str, str], Mapping[str, str]]]
Changes: TypeAlias = list[tuple[int, str]]
A = ("a",)


def changes(lives: Lives, course: str, value: float = 1.0) -> Changes:
    """Move a series on by a second a sign: `+` the condition holds, `-` it does not."""
    found: Changes = []
    for second, sign in enumerate(course):
        there: Found = {A: (value, {"alertname": "x"}, {})} if sign == "+" else {}
        found += [(second, change.after) for change in lives.update(second * 1_000_000_000, there)]
    return found


@pytest.mark.parametrize(
    ("for_s", "keep_s", "course", "expected"),
    [
        (0, 0, "+", [(0, "pending"), (0, "firing")]),
        (0, 0, "++-", [(0, "pending"), (0, "firing"), (2, "inactive")]),
        (2, 0, "++-", [(0, "pending"), (2, "inactive")]),
        (2, 0, "+++", [(0, "pending"), (2, "firing")]),
        (2, 0, "++-+++", [(0, "pending"), (2, "inactive"), (3, "pending"), (5, "firing")]),
        (2, 0, "+++-+", [(0, "pending"), (2, "firing"), (3, "inactive"), (4, "pending")]),
        (0, 2, "+--+--", [(0, "pending"), (0, "firing")]),
        (0, 2, "+---", [(0, "pending"), (0, "firing"), (3, "inactive")]),
        (3, 2, "++--++", [(0, "pending"), (2, "inactive"), (4, "pending")]),
        (1, 1, "++-+--", [(0, "pending"), (1, "firing"), (5, "inactive")]),
    ],
)
def test_an_alert_lives_as_in_prometheus(for_s: int, keep_s: int, course: str, expected: Changes) -> None:
    assert changes(Lives("g", "x", for_s * 1_000_000_000, keep_s * 1_000_000_000), course) == expected


def test_sets_of_labels_live_apart() -> None:
    lives = Lives("g", "x", 1)
    both: Found = {series: (1.0, {"alertname": "x", "route": series[0]}, {}) for series in (A, ("b",))}
    list(lives.update(0, both))
    found = list(lives.update(1, {A: both[A]}))
    assert [(change.labels["route"], change.after) for change in found] == [("a", "firing"), ("b", "inactive")]


def test_a_resolved_alert_is_known_for_a_quarter_of_an_hour() -> None:
    lives = Lives("g", "x")
    list(lives.update(0, {A: (1.0, {}, {})}))
    list(lives.update(1, {}))
    list(lives.update(RESOLVED_NS, {}))
    assert lives.held[A].resolved_ns == 1
    list(lives.update(RESOLVED_NS + 1, {}))
    assert lives.held == {}


def test_states_survive_as_json() -> None:
    lives = Lives("g", "x", 2_000_000_000)
    changes(lives, "++")
    other = Lives("g", "x", 2_000_000_000)
    other.restore(json.loads(json.dumps(lives.state())))
    assert [change.after for change in other.update(2_000_000_000, {A: (1.0, {}, {})})] == ["firing"]


def failing(share: float) -> dict[str, list[Group]]:
    return {"alerts_0": [Group(("500",), 100 * share), Group((None,), 100 * (1 - share))]}


def test_time_that_was_not_watched_changes_nothing() -> None:
    evaluation = rules("error_ratio[1m] > 10%")
    found: list[Transition] = []
    for slot in range(1, 10):
        found += evaluation.advance(slot * SLOT, failing(0.5))
    assert [change.at_ns // SLOT for change in found] == [4, 4]
    # An hour away; then all is well, but not for a whole range yet.
    for slot in range(250, 253):
        assert evaluation.advance(slot * SLOT, failing(0)) == []
    (end,) = evaluation.advance(253 * SLOT, failing(0))
    assert (end.before, end.after) == ("firing", "inactive")


def test_rules_are_asked_at_the_interval_of_their_group() -> None:
    evaluation = evaluated(
        '[[group]]\nname = "g"\ninterval = "40s"\n[[group.rule]]\nalert = "a"\nexpr = "error_ratio[15s] > 10%"\n'
    )
    found = [change for slot in range(1, 8) for change in evaluation.advance(slot * SLOT, failing(float(slot < 5)))]
    assert [(change.at_ns // SLOT, change.after) for change in found] == [
        (3, "pending"),
        (3, "firing"),
        (6, "inactive"),
    ]


def test_labels_and_annotations_are_filled_in() -> None:
    evaluation = evaluated(
        """[[group]]
name = "g"
[[group.rule]]
alert = "Many"
expr = "calls[15s] by (route, response.header.x-a) > 0"
labels = { team = "of {{ $labels.route }}" }
annotations = { summary = "{{ $value }} {{ $value | humanize }} {{$labels.response_header_x_a}}." }
"""
    )
    evaluation.advance(SLOT, {"alerts_0": [Group((None, "/a"), 12_345.0)]})
    ((group, alert),) = evaluation.alerts()
    assert group == "g"
    assert alert.labels == {"route": "/a", "alertname": "Many", "team": "of /a"}
    assert alert.annotations == {"summary": "12345 12.35k ."}


def test_more_series_than_there_is_room_for_are_one_and_counted() -> None:
    evaluation = rules("calls[15s] by (route) > 0")
    evaluation.advance(SLOT, {"alerts_0": [Group((f"/{number}",), 1.0) for number in range(1_100)]})
    assert len(list(evaluation.alerts())) == 1_001
    assert evaluation.overflows()["series"] == 100
