"""Alerts live, on a clock that the test moves: as the back-test has them, over restarts, and through kills."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from masthead.alerts.history import replayed, stored_losses
from masthead.alerts.memory import Memory, read
from masthead.alerts.notify.desk import Addressee, Desk, Timing
from masthead.alerts.notify.silences import Silences
from masthead.alerts.sink import AlertsSink
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from tests.e2e.waiting import wait_for
from tests.unit.alerting import SLOT, evaluated
from tests.unit.stored import BEGIN_NS, SECOND, Call, batches, call, fill, pairs

if TYPE_CHECKING:
    from masthead.alerts.evaluation import Evaluation
    from masthead.alerts.notify.desk import Done
    from masthead.alerts.notify.notice import Notice
    from masthead.alerts.states import Transition

RULES = """
[[group]]
name = "all"
[[group.rule]]
alert = "Errors"
expr = "error_ratio[1m] by (route) > 20% and calls[1m] by (route) > 3"
for = "30s"
keep_firing_for = "1m"
[[group.rule]]
alert = "Slow"
expr = "quantile(0.9, duration)[2m] by (route) > 300ms"
[[group.rule]]
alert = "Unsigned"
expr = "missing(request.header.authorization)[1m] by (route, method) > 60%"
[[group.rule]]
alert = "Quota"
expr = "min(response.header.x-ratelimit-remaining)[1m] / max(response.header.x-ratelimit-limit)[1m] < 10%"
[[group.rule]]
alert = "Server"
expr = "new_values(response.header.server, learn=5m)[2m]"
[[group.rule]]
alert = "Silent"
expr = "absent(calls)[1m]"
[[group.rule]]
alert = "Budget"
expr = "burn_rate(slo=0.9)[5m] > 2 and burn_rate(slo=0.9)[1m] > 2"
[[group.rule]]
alert = "Unusual"
expr = "deviation(calls)[1m] > 3"
[[group.rule]]
alert = "Loses"
expr = "ledger_lost[1m] by (loss) > 0"
"""
STEP = 5 * SECOND
LOSS = {"time": "2026-08-01T00:08:00.500000Z", "masthead": {"event": "loss", "kernel": {"refused": {"ring_full": 3}}}}


class Hall:
    """A place for a sink: its clock, its rules, what it found, whom it told."""

    def __init__(self, root: Path, begin_ns: int = BEGIN_NS) -> None:
        self.root = root
        self.now = begin_ns
        self.told: list[str] = []
        self.notices: list[Notice] = []
        self.found: list[Transition] = []
        self.open()

    def open(self) -> None:
        self.evaluation = watched(evaluated(RULES), self.found)
        timing = Timing(("alertname",), 0, 60 * SECOND, 3_600 * SECOND)
        silences = Silences(self.root / "silences.json", [], self.told.append)
        desk = Desk([Addressee("box", (), send_resolved=True, timing=timing)], self, silences)
        self.sink = AlertsSink(
            self.evaluation,
            Memory(self.root, self.told.append),
            desk,
            grace_ns=5 * SECOND,
            tell=self.told.append,
            clock_ns=lambda: self.now,
        )

    def send(self, notice: Notice, done: Done) -> None:
        self.notices.append(notice)
        done("sent")

    def close(self) -> None:
        pass

    def feed(self, calls: list[Call], until_ns: int, loss_at_ns: int = 0) -> None:
        """Let calls come when they end, as a batch each five seconds, and time pass."""
        steps: dict[int, list[Call]] = {}
        for row in calls:
            steps.setdefault((row["time"] + (row.get("duration_ns") or 0)) // STEP, []).append(row)
        while self.now < until_ns:
            self.now += STEP
            for batch in batches(steps.get(self.now // STEP - 1, [])):
                self.sink.write(batch)
            if loss_at_ns and self.now - STEP <= loss_at_ns < self.now:
                self.sink.note(LOSS)
            self.sink.tick()


def watched(evaluation: Evaluation, found: list[Transition]) -> Evaluation:
    """Have every change written down too."""
    advance = evaluation.advance

    def noted(*given: object) -> list[Transition]:
        changes = advance(*given)  # type: ignore[arg-type]
        found.extend(changes)
        return changes

    evaluation.advance = noted  # type: ignore[method-assign, assignment]
    return evaluation


def eventful(minutes: int, seed: int = 3) -> list[Call]:
    """Make calls in which every rule has its hour."""
    draw = random.Random(seed)
    calls = []
    for second in range(minutes * 60):
        minute = second // 60
        if minute == 12:
            continue
        for _ in range(draw.randrange(1, 4) * (5 if minute == 15 else 1)):
            failing = minute in (4, 5, 6) and draw.random() < 0.6
            slow = minute in (8, 9)
            fields = [("Server", "new" if minute == 10 else "old"), ("X-RateLimit-Limit", "100")]
            left = 5 if minute == 14 else 50
            calls.append(
                call(
                    0,
                    route=draw.choice(["/a", "/b"]),
                    method="GET",
                    status=500 if failing else 200,
                    duration_ns=round(draw.expovariate(1 / (0.6 if slow else 0.05)) * SECOND),
                    request_fields=pairs(("Authorization", "x")) if minute != 7 or draw.random() < 0.1 else [],
                    response_fields=pairs(*fields, ("X-RateLimit-Remaining", str(left))),
                    sample_weight=draw.choice([1.0, 1.0, 4.0]),
                )
                | {"time": BEGIN_NS + second * SECOND + draw.randrange(SECOND)}
            )
    return sorted(calls, key=lambda row: row["time"])


def summary(found: list[Transition]) -> list[tuple[object, ...]]:
    return [(one.at_ns, one.alert, sorted(one.labels.items()), one.before, one.after, one.value) for one in found]


def test_the_back_test_over_the_store_is_what_happened_live(tmp_path: Path) -> None:
    calls = eventful(20)
    # The live sink began some slots before; the first call comes in the first slot that it watched whole.
    hall = Hall(tmp_path / "live", BEGIN_NS - 2 * SLOT)
    loss_ns = BEGIN_NS + 8 * 60 * SECOND + SECOND // 2
    hall.feed(calls, BEGIN_NS + 20 * 60 * SECOND + STEP, loss_ns)
    assert hall.sink.late == 0
    root = fill(tmp_path / "store", calls)
    with (root / "events.ndjson").open("a") as events:
        events.write(json.dumps(LOSS) + "\nnonsense\n")
    evaluation = evaluated(RULES)
    reader = DuckReader(root, Limits())
    until = BEGIN_NS + 20 * 60 * SECOND
    back = list(replayed(evaluation, reader, 0, until, stored_losses(root, SLOT)))
    reader.close()
    assert summary(back) == summary(hall.found)
    rules = {change.alert for change in back if change.after == "firing"}
    # Usual hours are not known after twenty minutes.
    assert rules == {"Errors", "Slow", "Unsigned", "Quota", "Server", "Silent", "Budget", "Loses"}


def test_what_is_late_is_counted(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    hall.feed([], BEGIN_NS + 120 * SECOND)
    for batch in batches([call(0, status=200, duration_ns=0)]):
        hall.sink.write(batch)
    hall.feed([], BEGIN_NS + 140 * SECOND)
    assert hall.sink.late == 1
    assert ("masthead_alerts_late_rows_total", 1) in [(one.name, one.value) for one in hall.sink.samples()]


def test_a_restart_neither_ends_nor_repeats_an_alert(tmp_path: Path) -> None:
    def calls(first: int, last: int) -> list[Call]:
        # One route alone, which fails all the time.
        return [call(second, route="/a", status=500, duration_ns=0) for second in range(first, last)]

    hall = Hall(tmp_path)
    hall.feed(calls(0, 300), BEGIN_NS + 300 * SECOND)
    firing = [one.value for one in hall.sink.samples() if one.labels.get("alertstate") == "firing"]
    assert len(firing) >= 1
    before = [alert.labels["alertname"] for notice in hall.notices for alert in notice.alerts]
    assert "Errors" in before
    hall.sink.close()
    hall.found.clear()
    hall.notices.clear()
    # Two minutes later it runs again, and the route still fails.
    hall.now = BEGIN_NS + 420 * SECOND
    hall.open()
    hall.feed(calls(420, 600), BEGIN_NS + 600 * SECOND)
    assert [change for change in hall.found if change.alert == "Errors"] == []
    assert [notice for notice in hall.notices if notice.group == {"alertname": "Errors"}] == []
    # Then it is well.
    well = [call(second, route="/a", status=200, duration_ns=0) for second in range(600, 900)]
    hall.feed(well, BEGIN_NS + 900 * SECOND)
    assert [change.after for change in hall.found if change.alert == "Errors"] == ["inactive"]
    ends = [alert.status for notice in hall.notices for alert in notice.alerts if alert.labels["alertname"] == "Errors"]
    assert ends == ["resolved"]


def test_a_pending_alert_goes_on_waiting_after_a_kill(tmp_path: Path) -> None:
    calls = [call(second, route="/a", status=500, duration_ns=0) for second in range(400)]
    hall = Hall(tmp_path)
    while not any(change.after == "pending" and change.alert == "Errors" for change in hall.found):
        hall.feed(calls, hall.now + STEP)
    # Killed: nothing is closed. What was learned is lost, the state is not.
    hall.found.clear()
    hall.open()
    hall.feed(calls, BEGIN_NS + 300 * SECOND)
    assert [change.after for change in hall.found if change.alert == "Errors"] == ["firing"]


def test_other_rules_take_over_what_is_known(tmp_path: Path) -> None:
    calls = [call(second, route="/a", status=500, duration_ns=0) for second in range(600)]
    hall = Hall(tmp_path)
    hall.feed(calls, BEGIN_NS + 300 * SECOND)
    hall.found.clear()
    more = RULES + '[[group.rule]]\nalert = "More"\nexpr = "calls[1m] > 30"\n'
    hall.sink.set_rules(watched(evaluated(more), hall.found))
    hall.feed(calls, BEGIN_NS + 600 * SECOND)
    assert [(change.alert, change.after) for change in hall.found] == [("More", "pending"), ("More", "firing")]


def test_a_batch_that_cannot_be_counted_is_told_of_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def observe(self, _batch: object) -> None:
            message = "the batch lacks a column"
            raise RuntimeError(message)

    hall = Hall(tmp_path)
    monkeypatch.setattr(hall.sink, "_tally", Broken())
    for batch in batches([call(0), call(1)]):
        assert hall.sink.write(batch) == 0
    assert hall.sink.failed == 2
    assert len(hall.told) == 1


def test_a_machine_that_slept_is_caught_up_with_or_not_watched(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    hall.feed([call(second, route="/a", status=200, duration_ns=0) for second in range(120)], BEGIN_NS + 120 * SECOND)
    hall.found.clear()
    hall.now += 86_400 * SECOND
    hall.sink.tick()
    # An hour of silence was caught up with; the hours before it nobody watched.
    assert [change.alert for change in hall.found if change.after == "firing"] == ["Silent"]
    assert hall.told == []


def test_the_thread_asks_and_stops(tmp_path: Path) -> None:
    hall = Hall(tmp_path)
    hall.sink.start()
    hall.now += 120 * SECOND
    wait_for(lambda: hall.evaluation.done_ns >= BEGIN_NS + 90 * SECOND, "slots are asked about")
    hall.sink.close()
    assert read(tmp_path / "states.json", print) is not None
    assert read(tmp_path / "learned.json", print) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 99}', '{"version": 1'])
def test_a_file_that_is_damaged_is_told_of_and_begun_anew(tmp_path: Path, text: str) -> None:
    (tmp_path / "states.json").write_text(text)
    hall = Hall(tmp_path)
    assert len(hall.told) == 1
    assert "beginning anew" in hall.told[0]
    hall.feed([], BEGIN_NS + 60 * SECOND)


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from masthead.alerts.memory import write
number = 0
while True:
    number += 1
    write(Path(sys.argv[1]), {"number": number, "filling": "x" * 100_000})
    print(number, flush=True)
"""
    path = tmp_path / "states.json"
    source = str(Path(__file__).parents[2] / "src")
    for turn in range(8):
        command = [sys.executable, "-c", code, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env={"PYTHONPATH": source}) as writer:
            assert writer.stdout
            for _ in range(turn + 1):
                written = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
        data = read(path, pytest.fail)
        assert data is not None
        assert data["number"] >= written
        assert len(data["filling"]) == 100_000
