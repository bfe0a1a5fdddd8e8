"""From calls in a store to forecasts: by the question, as rows, by the verb, in Python, as samples."""

from __future__ import annotations

import csv
import io
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

import masthead
from masthead.__main__ import main
from masthead.config import Config
from masthead.errors import NotSupportedError, UsageError
from masthead.forecast import require
from masthead.forecast.ask import read
from masthead.forecast.gauges import Gauges
from masthead.forecast.outlook import Outlook, outlooks
from masthead.forecast.series import METRICS, Span, of_routes, span
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.query.questions.scope import Scope
from masthead.store.kinds import Kinds
from masthead.store.writer import Writer
from tests.unit.seasons import DAY, WEEK, noise, shape
from tests.unit.stored import BEGIN_NS, HOUR, SECOND, Call, batches, call, pairs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEEKS = 4
HOURS = WEEKS * WEEK
NOW = BEGIN_NS + HOURS * HOUR + 20 * 60 * SECOND
OUTAGE = range(300, 320)


def hourly(draw: np.random.Generator) -> Iterator[Call]:
    """Two routes by the hour: a row stands for many calls. Errors of one grow; masthead itself was off for a while."""
    traffic = 3600 * shape(draw, HOURS) * noise(draw, HOURS)
    for hour in (hour for hour in range(HOURS) if hour not in OUTAGE):
        share = 0.002 * (1 + hour / 200)
        weights = {
            "/busy": (traffic[hour] * (1 - share), traffic[hour] * share),
            "/quiet": (float(draw.poisson(0.5)), 0),
        }
        used = 0.2 + 0.7 * hour / HOURS + 0.05 * draw.random()
        told = pairs(("X-RateLimit-Limit-Tokens", "1000"), ("x-ratelimit-remaining-tokens", f"{1000 * (1 - used):.0f}"))
        for route, (well, failed) in weights.items():
            for status, weight in ((200, well), (503, failed)):
                if weight:
                    yield call(
                        hour * 3600 + 60,
                        exchange_id=f"{hour}{route}{status}",
                        route=route,
                        authority="api.example",
                        status=status,
                        duration_ns=50_000_000,
                        response_fields=told if route == "/busy" else [],
                        sample_weight=float(weight),
                    )


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    calls = list(hourly(np.random.default_rng(11)))
    # What is not over yet does not count.
    calls.append(call(HOURS * 3600 + 1, exchange_id="last", route="/busy", status=503, sample_weight=1e9))
    # All at once: a clock that leaps by weeks, as history made hour by hour would have it, is what the keeper warns of.
    folder = tmp_path_factory.mktemp("store")
    writer = Writer(folder, Kinds.of(Config()), sync_seconds=60, tell=print, clock_ns=lambda: NOW)
    for batch in batches(calls):
        assert writer.write(batch) == 0
    writer.close()
    return folder


@pytest.fixture(scope="module")
def reader(root: Path) -> Iterator[DuckReader]:
    opened = DuckReader(root, Limits())
    yield opened
    opened.close()


def look(reader: DuckReader, metric: str = "", slo: str = "", hours: float = 48) -> dict[str | None, Outlook]:
    ask = read(metric, slo, Scope(role="", limit=20), NOW, ahead_hours=hours)
    return {found.series.key[0]: found for found in outlooks(reader, ask)}


def test_series_know_silence_from_not_looking(reader: DuckReader) -> None:
    found = look(reader, "rate")
    assert list(found) == ["/busy", "/quiet"]
    quiet = found["/quiet"].series.values
    # The hour in which logging began is known in part and left out.
    assert len(quiet) == HOURS - 1
    assert np.isnan(quiet[OUTAGE.start - 1 : OUTAGE.stop - 1]).all()
    assert np.isnan(quiet).sum() == len(OUTAGE)
    assert (quiet == 0).sum() > WEEK
    assert np.isnan(look(reader, "p95")["/quiet"].series.values).sum() > WEEK


def test_the_next_two_days_continue_the_traffic(reader: DuckReader) -> None:
    found = look(reader, "rate")["/busy"]
    draw = np.random.default_rng(11)
    truth = shape(draw, HOURS)[-WEEK:][: 2 * DAY]
    assert found.begin_ns(0) == BEGIN_NS + HOURS * HOUR
    # As many steps as it takes to see two days from now, besides the one that is not over.
    assert len(found.forecast.expected) == 2 * DAY + 1
    assert np.mean(np.abs(found.forecast.expected[: 2 * DAY] - truth)) < 0.06
    assert found.forecast.changes == []


def test_growing_errors_break_their_limit_later(reader: DuckReader) -> None:
    last = 0.002 * (1 + HOURS / 200)
    assert look(reader, slo=f"error_ratio < {last * 1.02:.5f}")["/busy"].breaks_ns() is not None
    kept = look(reader, slo="error_ratio < 0.05")
    assert kept["/busy"].breaks_ns() is None
    assert kept["/busy"].breaks_ns(0.95) is None
    broken = look(reader, slo="error_ratio < 0.005")["/busy"]
    assert broken.breaks_ns() == NOW
    between = look(reader, slo=f"error_ratio < {last * 1.05:.5f}")["/busy"]
    expected, earliest = between.breaks_ns(), between.breaks_ns(0.95)
    assert earliest is not None
    assert earliest >= NOW
    assert expected is None or earliest <= expected


def test_quotas_come_from_pairs_of_fields_and_break_when_used_up(reader: DuckReader) -> None:
    ((_, found),) = look(reader, "quota", hours=7 * DAY).items()
    assert found.series.key == ("api.example", "tokens")
    assert found.now == pytest.approx(0.925, abs=0.03)
    assert str(found.limit) == "quota_used < 1"
    assert (found.forecast.upper[0.95] <= 1).all()
    earliest = found.breaks_ns(0.95)
    expected = found.breaks_ns()
    assert earliest is not None
    assert expected is not None
    # It grows by 0.001 an hour, with some noise.
    assert NOW <= earliest < expected
    assert DAY * HOUR < expected - NOW < 6 * DAY * HOUR


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTHEAD_CONFIG", str(tmp_path / "masthead.toml"))
    (tmp_path / "masthead.toml").write_text("")


UNTIL = f"{datetime.fromtimestamp(NOW / 1e9, UTC):%Y-%m-%dT%H:%M:%S}"


def told(capfd: pytest.CaptureFixture[str], root: Path, *arguments: str) -> str:
    times = ("--since", "2026-07-01", "--until", UNTIL)
    assert main(["forecast", "--store", str(root), *times, *arguments]) == 0
    return capfd.readouterr().out


@pytest.mark.usefixtures("config")
class TestVerb:
    def test_a_line_for_each_route(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        rows = json.loads(told(capfd, root, "--output", "json", "--slo", "requests_per_second < 0.5", "--limit", "1"))
        (row,) = rows
        assert row["route"] == "/busy"
        assert row["shape"] == "week"
        assert row["next_hour_lower"] < row["next_hour"] < row["next_hour_upper"]
        assert row["next_day_lower"] < row["next_day"] < row["next_day_upper"]
        assert row["slo"] == "requests_per_second < 0.5"
        assert row["breaks_at"] >= "2026-08-29T00:20:00"
        assert row["changes"] == []

    @pytest.mark.parametrize("form", ["csv", "ndjson", "table"])
    def test_each_step_in_every_form(self, root: Path, capfd: pytest.CaptureFixture[str], form: str) -> None:
        out = told(capfd, root, "--each", "--route", "/bu*", "--ahead", "3h", "--output", form)
        if form == "table":
            assert "lower_95" in out
            return
        rows: list[dict[str, Any]] = (
            list(csv.DictReader(io.StringIO(out))) if form == "csv" else [json.loads(line) for line in out.splitlines()]
        )
        assert [row["time"][:16] for row in rows] == [f"2026-08-29T0{hour}:00" for hour in range(4)]
        assert all(float(row["lower_95"]) <= float(row["lower_80"]) <= float(row["expected"]) for row in rows)

    def test_too_short_a_history_says_so(self, root: Path, capfd: pytest.CaptureFixture[str]) -> None:
        arguments = ["--since", "2026-08-28T12:00", "--until", UNTIL, "--output", "json"]
        assert main(["forecast", "--store", str(root), *arguments]) == 0
        rows = json.loads(capfd.readouterr().out)
        assert {row["shape"] for row in rows} == {"not enough history"}
        assert {row["next_hour"] for row in rows} == {None}

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--slo", "error_ratio"],
            ["--slo", "p95_ms < 1", "--metric", "rate"],
            ["--ahead", "soon"],
            ["--ahead", "0h"],
            ["--step", "7m"],
            ["--metric", "size"],
        ],
    )
    def test_what_can_not_be_asked_is_refused(self, root: Path, arguments: list[str]) -> None:
        assert main(["forecast", "--store", str(root), *arguments]) == 2


def test_python_gives_rows_for_polars(root: Path) -> None:
    with masthead.open(str(root)) as store:
        found = pl.DataFrame(store.forecast("rate", ahead_hours=24, since=None, until=UNTIL, route="/busy"))
        (line,) = store.forecast(slo="p95_ms < 100", each=False, since=None, until=UNTIL, limit=1)
        with pytest.raises(UsageError):
            store.forecast("size")
        with pytest.raises(UsageError):
            store.forecast(minutes=7)
    assert found.columns == [
        "route",
        "metric",
        "time",
        "expected",
        "lower_80",
        "upper_80",
        "lower_95",
        "upper_95",
    ]
    assert len(found) == 25
    # Rows that stand for different numbers of calls have no p95: not known, not guessed.
    assert (line["metric"], line["next_hour"], line["breaks_at"]) == ("p95_ms", None, None)


def test_gauges_give_what_is_known(reader: DuckReader) -> None:
    gauges = Gauges(lambda: NOW, metrics=("rate", "quota"), slos=("error_ratio < 0.005",), routes=1)
    found = list(gauges.samples(reader))
    assert len({(sample.name, str(sample.labels)) for sample in found}) == len(found)
    by_name: dict[str, list[Any]] = {}
    for sample in found:
        by_name.setdefault(sample.name, []).append(sample)
    rates = by_name["masthead_forecast_requests_per_second"]
    assert [sample.labels for sample in rates] == [{"http_route": "/busy", "horizon": each} for each in ("1h", "24h")]
    low, high = (by_name[f"masthead_forecast_requests_per_second_{side}"][0].value for side in ("lower", "upper"))
    assert low < rates[0].value < high
    breaks = {sample.labels["slo"]: sample for sample in by_name["masthead_forecast_seconds_to_break"]}
    assert breaks["error_ratio < 0.005"].value == 0
    assert by_name["masthead_forecast_quota_used_ratio"][0].labels["server_address"] == "api.example"
    assert {len(each) for each in ({sample.help for sample in some} for some in by_name.values())} == {1}
    with pytest.raises(UsageError):
        Gauges(lambda: NOW, slos=("size < 1",))


def test_without_the_library_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    with pytest.raises(NotSupportedError, match=r"masthead\[forecast\]"):
        require()


def test_a_history_that_has_no_whole_step_is_empty() -> None:
    over = span([], 0, 1000, 60)
    assert over.count == 0
    assert of_routes([("/a", 960, 1.0, 0.0, None)], [960], Span(960, 0, 60), METRICS["rate"])[0].values.size == 0
