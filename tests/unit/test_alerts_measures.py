"""Every measure against truth worked out by hand, over rows that the extension counts."""

from __future__ import annotations

import pytest

from tests.unit.alerting import SLOT, held, rules, run
from tests.unit.stored import BEGIN_NS, SECOND, Call, call, pairs


def made(second: float, **columns: object) -> Call:
    columns = {"status": 200, "route": "/a", "method": "GET", "duration_ns": 10_000_000, **columns}
    return {**call(0, **columns), "time": BEGIN_NS + round(second * SECOND)}


def value(expression: str, calls: list[Call], seconds: int = 60) -> object:
    """Give the value by labels after a minute, of an expression made a condition that always holds."""
    evaluation = rules(expression)
    run(evaluation, calls, seconds)
    return held(evaluation).get("a0")


TEN = [made(second, route="/a" if second < 8 else "/b", status=200 if second % 5 else 500) for second in range(10)]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("calls[1m] >= 0", {(): 10}),
        ("calls[1m] by (route) >= 0", {("/a",): 8, ("/b",): 2}),
        ('calls{route="/b"}[1m] >= 0', {(): 2}),
        ('calls{status="500"}[1m] >= 0', {(): 2}),
        ('calls{status=~"4..|5.."}[1m] by (route) > 0', {("/a",): 2}),
        ('calls{status!="200"}[1m] > 0', {(): 2}),
        ('calls{status!~"5.."}[1m] by (status) > 0', {("200",): 8}),
        ('calls{route="/a", route="/b"}[1m] >= 0', {(): 0}),
        ('calls{role="client"}[1m] >= 0', {(): 0}),
        ("error_ratio[1m] by (route) >= 0", {("/a",): 0.25, ("/b",): 0}),
        ('status_ratio("500")[1m] > 0', {(): 0.2}),
        ('status_ratio("2xx")[1m] > 0', {(): 0.8}),
        ("burn_rate(slo=0.9)[1m] > 0", {(): 2}),
        ("calls[1m] by (route) / calls[1m] > 50%", {("/a",): 0.8}),
        ("2 * calls[1m] - 5 > 0", {(): 15}),
        ("5 < calls[1m]", {(): 10}),
        ("calls[1m] by (route) > 1 and error_ratio[1m] by (route) > 0", {("/a",): 8}),
        ("calls[1m] by (route) > 1 unless error_ratio[1m] by (route) > 0", {("/b",): 2}),
        ("calls[1m] by (route) > 5 or error_ratio[1m] by (route) == 0", {("/a",): 8, ("/b",): 0}),
        ("calls[1m] / (calls[1m] - 10) > 0", None),
        ("absent(calls)[1m]", None),
        ('absent(calls{route="/none"})[1m]', {(): 1}),
    ],
)
def test_counts_and_shares(expression: str, expected: object) -> None:
    assert value(expression, TEN) == (expected if expected is None else pytest.approx(expected))


def test_sampled_calls_count_as_many_as_they_stand_for() -> None:
    assert value("calls[1m] > 0", [made(1, sample_weight=10.0), made(2)]) == {(): 11}


def test_an_error_is_a_5xx_a_reset_or_no_response_and_a_gap_is_none() -> None:
    calls = [
        made(1),
        made(2, status=503),
        made(3, status=None, quality=["no_response"]),
        made(4, quality=["reset"]),
        made(5, status=404),
        made(6, status=None, quality=["no_response", "gap"]),
    ]
    assert value("error_ratio[1m] > 0", calls) == {(): pytest.approx(3 / 6)}
    assert value('status_ratio("4xx")[1m] > 0', calls) == {(): pytest.approx(1 / 4)}


def test_durations() -> None:
    calls = [made(1 + number / 10, duration_ns=number * 10_000_000) for number in range(1, 101)]
    calls.append(made(2, duration_ns=None))
    assert value("slow_ratio(300ms)[1m] > 0", calls) == {(): pytest.approx(0.7)}
    assert value("burn_rate(slo=0.9, slow=300ms)[1m] > 0", calls) == {(): pytest.approx(7)}
    assert value("average(duration)[1m] > 0", calls) == {(): pytest.approx(0.505)}
    assert value("sum(duration)[1m] > 0", calls) == {(): pytest.approx(50.5)}
    # Within the fifth by which the bounds grow; exact at the number that it is compared with.
    assert value("quantile(0.9, duration)[1m] >= 0", calls) == {(): pytest.approx(0.9, rel=0.05)}
    assert value("quantile(0.9, duration)[1m] > 901ms", calls) is None
    assert value("quantile(0.9, duration)[1m] > 899ms", calls) is not None


def test_header_numbers_and_presence() -> None:
    def answered(second: int, *fields: tuple[str, str]) -> Call:
        request = pairs(("Authorization", "x")) if second % 4 else pairs(("Host", "a"))
        return made(second, request_fields=request, response_fields=pairs(*fields))

    limits = [("X-RateLimit-Limit", "100")]
    calls = [answered(second, *limits, ("X-RateLimit-Remaining", str(20 - second))) for second in range(1, 13)]
    calls.append(made(13, request_fields=None))
    remaining, limit = "response.header.x-ratelimit-remaining", "response.header.x-ratelimit-limit"
    assert value(f"min({remaining})[1m] / max({limit})[1m] < 10%", calls) == {(): pytest.approx(0.08)}
    assert value(f"last({remaining})[1m] < 100", calls) == {(): 8}
    assert value(f"max({remaining})[1m] < 100", calls) == {(): 19}
    assert value("missing(request.header.authorization)[1m] > 0", calls) == {(): pytest.approx(3 / 12)}
    assert value("present(request.header.Authorization)[1m] > 0", calls) == {(): pytest.approx(9 / 12)}
    assert value("min(response.header.x-none)[1m] < 100", calls) is None


def test_a_range_moves_on_and_a_call_belongs_to_the_slot_of_its_end() -> None:
    evaluation = rules("calls[30s] > 0")
    found = run(evaluation, [made(0, duration_ns=20 * SECOND)], 120)
    assert [((change.at_ns - BEGIN_NS) // SECOND, change.after) for change in found] == [
        (30, "pending"),
        (30, "firing"),
        (60, "inactive"),
    ]


def test_a_long_range_is_short_by_at_most_a_sixtieth() -> None:
    evaluation = rules("calls[1h] > 0")
    found = run(evaluation, [made(3_600)], 8_000)
    (gone,) = [change.at_ns - BEGIN_NS for change in found if change.after == "inactive"]
    assert 3_600 * SECOND + 3_540 * SECOND <= gone <= 3_600 * SECOND + 3_660 * SECOND


def test_series_that_stop_are_zero_for_a_day() -> None:
    evaluation = rules("absent(calls)[1m] by (route)")
    run(evaluation, [made(1), *(made(second, route="/b") for second in range(1, 300, 10))], 300)
    assert held(evaluation) == {"a0": {("/a",): 1}}


def test_new_values_are_those_that_come_after_the_learning() -> None:
    def answered(second: int, server: str) -> Call:
        return made(second, response_fields=pairs(("Server", server)))

    calls = [answered(second, "old") for second in range(0, 600, 5)] + [answered(7, "other"), answered(500, "new")]
    evaluation = rules("new_values(response.header.server, learn=5m)[2m] by (route)")
    found = run(evaluation, calls, 700)
    assert [((change.at_ns - BEGIN_NS) // SECOND, change.after) for change in found] == [
        (510, "pending"),
        (510, "firing"),
        (630, "inactive"),
    ]
    assert found[0].labels == {"alertname": "a0", "route": "/a", "response_header_server": "new"}


def test_a_value_that_is_gone_was_there_often_enough_to_be_missed() -> None:
    def answered(second: float, server: str) -> Call:
        return made(second, response_fields=pairs(("Server", server)))

    calls = [answered(second / 2, "old" if second % 2 else "new") for second in range(1_200)]
    calls += [answered(second / 2, "new") for second in range(1_200, 2_400)]
    calls += [answered(second, "rare") for second in (1, 590)]
    evaluation = rules("gone_values(response.header.server, learn=5m)[2m]")
    found = run(evaluation, calls, 1_200)
    times = [((change.at_ns - BEGIN_NS) // SECOND, change.after) for change in found]
    assert times == [(720, "pending"), (720, "firing"), (840, "inactive")]
    assert found[0].labels["response_header_server"] == "old"


def test_values_that_are_no_set_are_neither_new_nor_gone() -> None:
    calls = [made(second, request_fields=pairs(("X-Id", f"id-{second}"))) for second in range(900)]
    evaluation = rules(
        "new_values(request.header.x-id, learn=5m)[2m]", "gone_values(request.header.x-id, learn=1m)[2m]"
    )
    assert run(evaluation, calls, 900) == []
    assert evaluation.overflows()["values"] > 0


def test_losses_of_masthead_itself() -> None:
    evaluation = rules("ledger_lost[1m] by (loss) > 0", "ledger_lost[1m] > 5", 'ledger_lost{loss="x"}[1m] > 0')
    slot = BEGIN_NS + 4 * SLOT
    run(evaluation, [], 90, {slot: {"kernel.refused.ring_full": 4, "notes.gaps": 2}})
    assert held(evaluation) == {"a0": {("kernel.refused.ring_full",): 4, ("notes.gaps",): 2}, "a1": {(): 6}}
