"""Who is told what and when, on a clock that the test moves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from masthead.alerts.notify.desk import Addressee, Desk, Timing
from masthead.alerts.notify.silences import Silences, matches
from masthead.alerts.tables import Group
from tests.unit.alerting import SLOT, evaluated

if TYPE_CHECKING:
    from pathlib import Path

    from masthead.alerts.notify.desk import Done
    from masthead.alerts.notify.notice import Notice

RULES = """
[[group]]
name = "g"
[[group.rule]]
alert = "a0"
expr = "error_ratio[15s] by (route) > 10%"
labels = { severity = "page" }
"""
SECOND = 1_000_000_000
MINUTE = 60 * SECOND
BY_NAME = Timing(("alertname",), 30 * SECOND, 5 * MINUTE, 60 * MINUTE)
BY_ROUTE = Timing(("route",), 30 * SECOND, 5 * MINUTE, 60 * MINUTE)
DIRECT = Timing(None, 0, MINUTE, MINUTE, eager=True)


@dataclass
class Box:
    """A post that delivers at once, or not at all."""

    outcome: str = "sent"
    notices: list[Notice] = field(default_factory=list)

    def send(self, notice: Notice, done: Done) -> None:
        self.notices.append(notice)
        done(self.outcome)

    def close(self) -> None:
        pass


class World:
    """Routes that fail or don't, rules, a desk, and a clock."""

    def __init__(
        self, tmp_path: Path, timing: Timing = BY_NAME, match: tuple[str, ...] = (), *, ends: bool = True
    ) -> None:
        self.evaluation = evaluated(RULES)
        self.box = Box()
        self.silences = Silences(tmp_path / "silences.json", [], print)
        self.addressee = Addressee("ops", match, ends, timing)
        self.desk = self.new_desk()
        self.now = 0

    def new_desk(self) -> Desk:
        return Desk([self.addressee], self.box, self.silences, {"host": "h"}, "http://here")

    def run(self, seconds: int, *failing: str) -> list[tuple[int, list[str]]]:
        """Let time pass; gives when what was told: `+/a` fires, `-/a` is over."""
        told = []
        for _ in range(0, seconds, 15):
            self.now += SLOT
            groups = [Group(("500", route), 10.0) for route in failing]
            self.evaluation.advance(self.now, {"alerts_0": [*groups, Group((None, "/well"), 10.0)]})
            self.desk.take(self.evaluation, self.now)
            before = len(self.box.notices)
            self.desk.tick(self.now)
            for notice in self.box.notices[before:]:
                signs = {"firing": "+", "resolved": "-"}
                alerts = sorted(f"{signs[alert.status]}{alert.labels['route']}" for alert in notice.alerts)
                told.append((self.now // SECOND, alerts))
        return told


@pytest.fixture
def world(tmp_path: Path) -> World:
    fresh = World(tmp_path)
    # Tables sort their keys.
    assert json.loads(fresh.evaluation.specification())["tables"][0]["by"] == ["error_type", "route"]
    return fresh


def test_a_new_group_waits_for_more_and_is_told_once(world: World) -> None:
    assert world.run(15, "/a") == []
    assert world.run(600, "/a", "/b") == [(45, ["+/a", "+/b"])]


def test_what_is_new_in_a_group_is_told_after_the_interval_and_so_is_an_end(world: World) -> None:
    assert world.run(60, "/a") == [(45, ["+/a"])]
    assert world.run(600, "/a", "/b") == [(345, ["+/a", "+/b"])]
    assert world.run(600, "/b") == [(945, ["+/b", "-/a"])]
    assert world.run(1_200) == [(1_545, ["-/b"])]


def test_what_does_not_change_is_repeated(world: World) -> None:
    assert [at for at, _ in world.run(3 * 3_600, "/a")] == [45, 3_645, 7_245]


def test_an_alert_that_is_over_before_it_was_told_is_not_told(world: World) -> None:
    assert world.run(15, "/a") == []
    assert world.run(1_800) == []


def test_groups_by_other_labels_are_told_apart(tmp_path: Path) -> None:
    world = World(tmp_path, BY_ROUTE)
    assert world.run(60, "/a", "/b") == [(45, ["+/a"]), (45, ["+/b"])]
    assert [notice.group for notice in world.box.notices] == [{"route": "/a"}, {"route": "/b"}]


def test_one_who_groups_himself_is_told_at_once_and_every_minute(tmp_path: Path) -> None:
    world = World(tmp_path, DIRECT)
    assert world.run(90, "/a") == [(15, ["+/a"]), (75, ["+/a"])]
    assert world.run(30, "/a", "/b") == [(105, ["+/a", "+/b"])]
    assert world.run(30) == [(135, ["-/a", "-/b"])]


def test_only_alerts_that_match_are_told(tmp_path: Path) -> None:
    world = World(tmp_path, match=('severity="page"', 'route=~"/a|/c"'))
    assert world.run(60, "/a", "/b") == [(45, ["+/a"])]


def test_ends_are_not_told_to_one_who_does_not_want_them(tmp_path: Path) -> None:
    world = World(tmp_path, ends=False)
    assert world.run(60, "/a") == [(45, ["+/a"])]
    assert world.run(900) == []
    assert world.run(60, "/a") == [(1_005, ["+/a"])]


def test_what_is_silenced_is_not_told_until_the_silence_ends(world: World) -> None:
    silence = world.silences.add(['route="/a"'], 20 * MINUTE, "deploying", 0)
    assert world.run(600, "/a", "/b") == [(45, ["+/b"])]
    assert world.silences.expire(silence.name, world.now)
    assert not world.silences.expire(silence.name, world.now)
    assert world.run(600, "/a", "/b") == [(645, ["+/a", "+/b"])]


def test_a_silence_that_runs_out_is_over(world: World) -> None:
    world.silences.add(['alertname="a0"'], 10 * MINUTE, "", 0)
    assert world.run(1_200, "/a") == [(645, ["+/a"])]


def test_what_was_not_delivered_is_told_again(world: World) -> None:
    world.box.outcome = "failed"
    assert world.run(60, "/a") == [(45, ["+/a"])]
    world.box.outcome = "sent"
    assert world.run(600, "/a") == [(345, ["+/a"])]
    assert dict(world.desk.counts) == {("ops", "failed"): 1, ("ops", "sent"): 1}


def test_after_a_restart_nobody_is_told_twice_and_ends_are_told(world: World) -> None:
    world.run(60, "/a")
    kept = json.loads(json.dumps(world.desk.state()))
    world.desk = world.new_desk()
    world.desk.restore(kept)
    assert world.run(600, "/a") == []
    assert world.run(600) == [(world.box.notices[-1].at_ns // SECOND, ["-/a"])]


def test_a_notice_says_what_alertmanager_says(world: World) -> None:
    world.run(60, "/a", "/b")
    (notice,) = world.box.notices
    payload = notice.payload()
    assert notice.title == "[FIRING:2] a0"
    assert payload["version"] == "4"
    assert payload["status"] == "firing"
    assert payload["groupLabels"] == {"alertname": "a0"}
    assert payload["commonLabels"] == {"alertname": "a0", "host": "h", "severity": "page"}
    assert [alert["labels"]["route"] for alert in payload["alerts"]] == ["/a", "/b"]
    assert payload["alerts"][0]["startsAt"] == "1970-01-01T00:00:15.000Z"
    assert payload["alerts"][0]["endsAt"] == "0001-01-01T00:00:00Z"
    assert len({alert["fingerprint"] for alert in payload["alerts"]}) == 2


@pytest.mark.parametrize(
    ("matcher", "expected"),
    [
        ('a="x"', True),
        ('a!="x"', False),
        ('a=~"x|y"', True),
        ('a=~"."', True),
        ('a=~""', False),
        ('a!~"y.*"', True),
        ('b=""', True),
        ('b!=""', False),
        (' a = "x" ', True),
    ],
)
def test_matchers(matcher: str, expected: object) -> None:
    assert matches([matcher], {"a": "x"}) == expected
