"""The ready questions against the same sums done here, row by row, in Python."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.query.questions import calls, fields
from masthead.query.questions.scope import Scope
from tests.unit.stored import BEGIN_NS, HOUR, SECOND, Call, call, fill, pairs, random_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

CALLS = random_calls(9_000)
"""Two and a half hours."""

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckReader]:
    opened = DuckReader(fill(tmp_path_factory.mktemp("store"), CALLS), Limits())
    yield opened
    opened.close()


def ask(reader: DuckReader, sql: str) -> Rows:
    answer = reader.ask(sql)
    return [dict(zip(answer.columns, row, strict=True)) for row in answer.rows()]


def wanted(role: str = "server") -> list[Call]:
    return [row for row in CALLS if row["role"] in {role, None}]


def grouped(rows: Sequence[Call], *names: str) -> dict[tuple[Any, ...], list[Call]]:
    groups = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(name) for name in names)].append(row)
    return groups


def weight(rows: Sequence[Call], holds: Callable[[Call], bool] = lambda _: True) -> float:
    return math.fsum(row["sample_weight"] for row in rows if holds(row))


def whole(value: float) -> int:
    return math.floor(value + 0.5)


def is_server_error(row: Call) -> bool:
    return row["status"] is None or row["status"] >= 500


def is_client_error(row: Call) -> bool:
    return row["status"] is not None and 400 <= row["status"] < 500


def quantile(rows: Sequence[Call], column: str, share: float) -> float | None:
    """R-7, in milliseconds; nothing where rows weigh differently."""
    values: list[int] = sorted(row[column] for row in rows if row[column] is not None)
    if not values or len({row["sample_weight"] for row in rows}) > 1:
        return None
    place = share * (len(values) - 1)
    low, high = values[math.floor(place)], values[math.ceil(place)]
    return (low + (high - low) * (place - math.floor(place))) / 1e6


def size(rows: Sequence[Call], side: str) -> int:
    def of(row: Call) -> float:
        return (row.get(f"{side}_head_bytes") or 0) + (row.get(f"{side}_body_bytes") or 0)

    return whole(math.fsum(of(row) * row["sample_weight"] for row in rows))


class TestRoutes:
    def test_every_route_and_method_is_counted_by_weight(self, reader: DuckReader) -> None:
        found = ask(reader, calls.routes(reader.dialect, Scope()))
        groups = grouped(wanted(), "route", "method")
        assert len(found) == len(groups)
        assert [row["calls"] for row in found] == sorted((row["calls"] for row in found), reverse=True)
        for row in found:
            rows = groups[row["route"], row["method"]]
            client, server = weight(rows, is_client_error), weight(rows, is_server_error)
            assert row["calls"] == whole(weight(rows))
            assert (row["client_errors"], row["server_errors"]) == (whole(client), whole(server))
            assert row["error_share"] == pytest.approx((client + server) / weight(rows))
            assert (row["request_bytes"], row["response_bytes"]) == (size(rows, "request"), size(rows, "response"))

    def test_quantiles_are_exact_and_null_where_rows_weigh_differently(self, reader: DuckReader) -> None:
        groups = grouped(wanted(), "route", "method")
        for row in ask(reader, calls.routes(reader.dialect, Scope())):
            rows = groups[row["route"], row["method"]]
            for name, column, share in (
                ("ttfb_p95_ms", "ttfb_ns", 0.95),
                ("p50_ms", "duration_ns", 0.5),
                ("p95_ms", "duration_ns", 0.95),
                ("p99_ms", "duration_ns", 0.99),
            ):
                assert row[name] == pytest.approx(quantile(rows, column, share), abs=1e-6)
            assert (row["p95_ms"] is None) == (row["route"] == "/v1/orders")

    def test_a_scope_is_time_route_role_condition_and_limit(self, reader: DuckReader) -> None:
        scope = Scope(
            since_ns=BEGIN_NS + 100 * SECOND,
            until_ns=BEGIN_NS + 4_000 * SECOND,
            role="client",
            route="/v1/it's/*",
            where="status = 200 -- comment",
            limit=1,
        )
        rows = [
            row
            for row in wanted("client")
            if scope.since_ns <= row["time"] < (scope.until_ns or 0)
            and row["route"] == "/v1/it's/{id}"
            and row["status"] == 200
        ]
        most = max(weight(group) for group in grouped(rows, "method").values())
        assert [row["calls"] for row in ask(reader, calls.routes(reader.dialect, scope))] == [most]

    def test_what_looks_like_a_glob_in_a_route_can_be_asked_for(self, reader: DuckReader) -> None:
        found = ask(reader, calls.routes(reader.dialect, Scope(route="/v1/?[x]*")))
        assert {row["route"] for row in found} == {"/v1/ü[x]*?"}


class TestErrors:
    def test_every_kind_is_counted_with_its_share_and_times(self, reader: DuckReader) -> None:
        def is_wrong(row: Call) -> bool:
            marks = {"malformed", "reset", "no_response"}
            return is_client_error(row) or 500 <= (row["status"] or 0) <= 599 or bool(marks & set(row["quality"]))

        rows = [{**row, "marks": " ".join(row["quality"])} for row in wanted()]
        groups = grouped([row for row in rows if is_wrong(row)], "route", "method", "status", "marks")
        totals = grouped(rows, "route", "method")
        found = ask(reader, calls.errors(reader.dialect, Scope(limit=10_000)))
        assert len(found) == len(groups)
        for row in found:
            same = groups[row["route"], row["method"], row["status"], row["marks"]]
            last = max(same, key=lambda other: other["time"])
            assert row["calls"] == whole(weight(same))
            assert row["share"] == pytest.approx(weight(same) / weight(totals[row["route"], row["method"]]))
            assert row["example"] == last["exchange_id"]
            assert row["last"] == stamp(last["time"])
            assert row["first"] == stamp(min(other["time"] for other in same))

    def test_the_last_ones_come_one_by_one(self, reader: DuckReader) -> None:
        found = ask(reader, calls.each_error(reader.dialect, Scope(where="status = 429", limit=5)))
        rows = [row for row in reversed(wanted()) if row["status"] == 429][:5]
        assert [row["exchange_id"] for row in found] == [row["exchange_id"] for row in rows]


def stamp(time_ns: int) -> str:
    whole_seconds, rest = divmod(time_ns - BEGIN_NS, SECOND)
    hours, seconds = divmod(whole_seconds, 3600)
    return f"2026-08-01T{hours:02}:{seconds // 60:02}:{seconds % 60:02}.{rest:09}Z"


def test_the_slowest_come_first(reader: DuckReader) -> None:
    found = ask(reader, calls.slow(reader.dialect, Scope(limit=10)))
    slowest = sorted((row for row in wanted() if row["duration_ns"]), key=lambda row: -row["duration_ns"])[:10]
    assert [row["exchange_id"] for row in found] == [row["exchange_id"] for row in slowest]
    assert [row["duration_ms"] for row in found] == [row["duration_ns"] / 1e6 for row in slowest]


class TestHeaders:
    def test_each_name_is_counted_once_a_call_whatever_its_case(self, reader: DuckReader) -> None:
        expected: dict[tuple[str, str], list[Call]] = defaultdict(list)
        for row in wanted():
            for side in ("request", "response"):
                for name in {field["name"].lower() for field in row[f"{side}_fields"] or ()}:
                    expected[side, name].append(row)
        found = {(row["side"], row["name"]): row for row in ask(reader, fields.headers(reader.dialect, Scope()))}
        assert found.keys() == expected.keys()
        for key, row in found.items():
            assert row["calls"] == whole(weight(expected[key]))
            assert row["share"] == pytest.approx(weight(expected[key]) / weight(wanted()))
            assert row["routes"] == len({other["route"] for other in expected[key]})
        assert found["request", "host"]["examples"] == ["a.example", "b.example"]
        assert len(found["request", "x-id"]["examples"]) == fields.EXAMPLES

    def test_values_are_counted_by_route(self, reader: DuckReader) -> None:
        expected: dict[tuple[Any, ...], float] = defaultdict(float)
        for row in wanted():
            for field in row["request_fields"] or ():
                if field["name"].lower() == "accept":
                    expected["request", "accept", field["value"], row["route"]] += row["sample_weight"]
        found = ask(reader, fields.values(reader.dialect, Scope(), "ACC*T"))
        assert {tuple(row[name] for name in ("side", "name", "value", "route")): row["calls"] for row in found} == {
            key: whole(count) for key, count in expected.items()
        }


class TestDiff:
    def test_what_appeared_is_gone_or_changed_is_told(self, tmp_path: Path) -> None:
        old = pairs(("Host", "a"), ("X-Old", "1"), ("Version", "1"), ("X-Request-Id", "?"), ("X-Rare", "r"))
        new = pairs(("host", "a"), ("X-New", "1"), ("version", "2"), ("X-Request-Id", "?"))

        def made(number: int, sent: list[dict[str, str]], **columns: object) -> Call:
            varied = [{**field, "value": field["value"].replace("?", str(number))} for field in sent]
            return call(number, route="/a", status=200, request_fields=varied, response_fields=[], **columns)

        rows = [made(number, old if number % 2 else old[:4]) for number in range(60)]
        rows += [made(4_000 + number, new) for number in range(60)]
        rows += [call(5_000, route="/only-after", request_fields=new, response_fields=[])]
        reader = DuckReader(fill(tmp_path / "store", rows), Limits())
        spans = ((BEGIN_NS, BEGIN_NS + HOUR), (BEGIN_NS + HOUR, BEGIN_NS + 2 * HOUR))
        found = ask(reader, fields.diff(reader.dialect, Scope(), *spans))
        told = {(row["change"], row["name"]): row for row in found}
        assert told.keys() == {("appeared", "x-new"), ("gone", "x-old"), ("gone", "x-rare"), ("values", "version")}
        assert told["gone", "x-rare"]["share_before"] == 0.5
        version = told["values", "version"]
        assert (version["examples_before"], version["examples_after"]) == (["1"], ["2"])
        assert {row["route"] for row in found} == {"/a"}

    def test_a_share_that_moves_is_told(self, tmp_path: Path) -> None:
        carried = pairs(("Retry-After", "3"))
        rows = [
            call(n, route="/a", response_fields=carried if n % 4 == 0 else [], request_fields=[]) for n in range(80)
        ]
        rows += [
            call(4_000 + n, route="/a", response_fields=carried if n % 4 else [], request_fields=[]) for n in range(80)
        ]
        reader = DuckReader(fill(tmp_path / "store", rows), Limits())
        spans = ((BEGIN_NS, BEGIN_NS + HOUR), (BEGIN_NS + HOUR, BEGIN_NS + 2 * HOUR))
        found = ask(reader, fields.diff(reader.dialect, Scope(), *spans))
        assert [(row["change"], row["share_before"], row["share_after"]) for row in found] == [("share", 0.25, 0.75)]
