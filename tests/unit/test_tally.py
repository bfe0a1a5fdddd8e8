"""Counts on the stream, compared with DuckDB over the same rows."""

from __future__ import annotations

import json
import threading
from typing import Any

import duckdb
import pytest

from masthead._native import Tally
from masthead.errors import ConfigError
from tests.unit.stored import BEGIN_NS, SECOND, batches, call, pairs, random_calls

CALLS = random_calls(6_000)
BATCHES = list(batches(CALLS, 1_000))
BOUNDS = [1e5, 1e6, 1e8, 5e8]

# Each derived key as SQL.
FIELD = "list_filter({side}_fields, lambda f: lower(f.name) = '{name}')"
SQL = {
    "role": "role",
    "method": "method",
    "route": "route",
    "status": "status::VARCHAR",
    "server_port": "server_port::VARCHAR",
    "authority": "authority",
    "status_class": "(status // 100)::VARCHAR || 'xx'",
    "method_known": "method",
    "origin_address": "authority",
    "origin_port": "server_port::VARCHAR",
    "request.header.Accept": FIELD.format(side="request", name="accept") + "[1].value",
    "request.header.accept?": f"(len({FIELD.format(side='request', name='accept')}) > 0)::INT::VARCHAR",
    "response.header.x-ratelimit-remaining?": (
        f"(len({FIELD.format(side='response', name='x-ratelimit-remaining')}) > 0)::INT::VARCHAR"
    ),
    "error_type": """CASE WHEN status >= CASE WHEN role = 'client' THEN 400 ELSE 500 END THEN status::VARCHAR
        WHEN status IS NULL AND list_contains(quality, 'no_response') THEN 'no_response' END""",
}
LEFT = FIELD.format(side="response", name="x-ratelimit-remaining") + "[1].value::DOUBLE"


def count(*tables: dict[str, Any]) -> dict[str, Any]:
    tally = Tally(json.dumps({"tables": tables}))
    for batch in BATCHES:
        tally.observe(batch)
    found: dict[str, Any] = json.loads(tally.snapshot())["tables"]
    return found


@pytest.fixture(scope="module")
def ask() -> Any:
    connection = duckdb.connect()
    for number, batch in enumerate(BATCHES):
        held = batch  # noqa: F841 - DuckDB finds it by its name
        connection.execute("CREATE TABLE rows AS FROM held" if number == 0 else "INSERT INTO rows FROM held")
    return lambda sql: connection.execute(sql).fetchall()


@pytest.mark.parametrize("by", [[], ["role"], ["method", "status", "route"], *([key] for key in SQL), list(SQL)])
def test_groups_are_those_of_a_query(by: list[str], ask: Any) -> None:
    (table,) = count({"name": "t", "by": by, "cap": 100_000}).values()
    keys = [SQL[key] for key in by]
    truth = ask(f"SELECT {', '.join([*keys, 'count(*)', 'sum(sample_weight)'])} FROM rows GROUP BY ALL")
    found = [(*group["keys"], group["rows"], group["calls"]) for group in table["groups"]]
    assert sorted(found, key=repr) == sorted(truth, key=repr)
    assert table["overflow"] == {"rows": 0, "calls": 0.0}


def test_measures_are_those_of_a_query(ask: Any) -> None:
    measures = [
        {"histogram": "duration_ns", "bounds": BOUNDS},
        {"sum": "response_body_bytes"},
        {"min": "response.header.X-RateLimit-Remaining"},
        {"max": "response.header.x-ratelimit-remaining"},
        {"last": "response.header.x-ratelimit-remaining"},
        {"last": "response.header.server"},
    ]
    (table,) = count({"name": "t", "by": ["route"], "cap": 9, "measures": measures}).values()
    low = [-1.0, *BOUNDS]
    buckets = [
        f"coalesce(sum(sample_weight) FILTER (duration_ns > {low} AND duration_ns <= {high}), 0)"
        for low, high in zip(low, [*BOUNDS, 1e18], strict=True)
    ]
    truth = ask(f"""SELECT route, [{", ".join(buckets)}], sum(duration_ns * sample_weight),
        sum(response_body_bytes * sample_weight), sum(sample_weight) FILTER (response_body_bytes IS NOT NULL),
        min({LEFT}), max({LEFT}), arg_max({LEFT}, time) FILTER (({LEFT}) IS NOT NULL),
        count(*) FILTER (len({FIELD.format(side="response", name="server")}) > 0)
        FROM rows GROUP BY ALL""")
    assert len(truth) == len(table["groups"])
    groups = {group["keys"][0]: group["measures"] for group in table["groups"]}
    for route, counts, sum_ns, sum_bytes, with_bytes, least, most, last, servers in truth:
        histogram, total, minimum, maximum, latest, server = groups[route]
        assert histogram["counts"] == counts
        assert histogram["sum"] == pytest.approx(sum_ns)
        assert (total["sum"], total["count"]) == (pytest.approx(sum_bytes), with_bytes)
        assert (minimum["value"], maximum["value"], latest["value"]) == (least, most, last)
        assert server == {"value": None, "time_ns": None, "unreadable": servers}


def test_conditions_are_those_of_a_query(ask: Any) -> None:
    where = {"role": ["server", None], "status_class": ["2xx", "5xx"], "status": [200, "503"]}
    marked = {"name": "marked", "where": {"marks": ["joined", "escaped"]}, "by": [], "cap": 1}
    found = count({"name": "plain", "where": where, "by": [], "cap": 1}, marked)
    (truth,) = ask("""SELECT
        count(*) FILTER ((role = 'server' OR role IS NULL) AND status IN (200, 503)),
        count(*) FILTER (list_has_any(quality, ['joined', 'escaped'])) FROM rows""")
    assert tuple(found[name]["groups"][0]["rows"] for name in ("plain", "marked")) == truth


def test_slots_are_by_the_end_of_the_row(ask: Any) -> None:
    width = 7 * SECOND
    tally = Tally(json.dumps({"tables": [{"name": "t", "by": ["method"], "cap": 9, "slot_ns": width}]}))
    found, late = [], 0
    for batch in BATCHES:
        tally.observe(batch)
        table = json.loads(tally.take(2**62 if batch is BATCHES[-1] else 0))["tables"]["t"]
        late += table["late"]
        for slot in table["slots"]:
            assert slot["end_ns"] - slot["start_ns"] == width
            found += [(slot["start_ns"], *group["keys"], group["calls"]) for group in slot["groups"]]
    truth = ask(f"""SELECT (epoch_ns(time) + coalesce(duration_ns, 0)) // {width} * {width}, method, sum(sample_weight)
        FROM rows GROUP BY ALL""")
    assert sorted(found, key=repr) == sorted(truth, key=repr)
    assert late == 0


def test_exemplars_are_the_last_sampled_rows_of_their_buckets() -> None:
    def traced(number: int, flags: int, duration: int) -> dict[str, Any]:
        trace = {"trace_id": f"{number:032x}", "parent_id": f"{number:016x}", "trace_flags": flags}
        return call(number, duration_ns=duration, **trace)

    calls = [traced(1, 1, 50), traced(2, 1, 60), traced(3, 0, 70), traced(4, 3, 5_000), call(5, duration_ns=40)]
    measure = {"histogram": "duration_ns", "bounds": [100, 1000]}
    table = {"name": "t", "by": [], "cap": 1, "measures": [measure], "exemplar": True}
    tally = Tally(json.dumps({"tables": [table]}))
    for batch in batches(calls):
        tally.observe(batch)
    (group,) = json.loads(tally.snapshot())["tables"]["t"]["groups"]
    low, middle, high = group["measures"][0]["exemplars"]
    ended = BEGIN_NS + 2 * SECOND + 60
    assert low == {"trace_id": f"{2:032x}", "span_id": f"{2:016x}", "value": 60.0, "time_ns": ended}
    assert middle is None
    assert high["trace_id"] == f"{4:032x}"


def test_derived_keys_follow_opentelemetry() -> None:
    keys = ["protocol_version", "method_known", "route_configured", "error_type", "origin_address", "origin_port"]
    calls = [
        call(0, protocol="http/1.1", method="GET", route="/a", route_source="configured", status=404),
        call(
            1, protocol="h2", method="get", route="/a", route_source="inferred", status=503, authority="API.example:8"
        ),
        call(2, protocol="websocket", role="client", status=404, server_address="10.0.0.9", server_port=443),
        call(3, quality=["reset"], status=200, authority="[::1]"),
        call(4, quality=["no_response", "gap"]),
        call(5, quality=["no_response"]),
    ]
    tally = Tally(json.dumps({"tables": [{"name": "t", "by": keys, "cap": 10}]}))
    for batch in batches(calls):
        tally.observe(batch)
    groups = json.loads(tally.snapshot())["tables"]["t"]["groups"]
    assert [group["keys"] for group in groups] == [
        ["1.1", "GET", "/a", None, None, None],
        ["2", "_OTHER", None, "503", "api.example", "8"],
        [None, None, None, "404", "10.0.0.9", "443"],
        [None, None, None, "reset", "[::1]", None],
        [None, None, None, None, None, None],
        [None, None, None, "no_response", None, None],
    ]


def test_resets_and_lists_are_read_and_what_is_not_a_number_is_counted() -> None:
    texts = ["30", "1m", "2026-08-01T00:02:00Z", "later"]
    calls = [call(0, response_fields=pairs(("X-Reset", text), ("RateLimit-Limit", "100, 100;w=60"))) for text in texts]
    measures = [
        {"max": "response.header.x-reset", "as": "reset"},
        {"last": "response.header.ratelimit-limit", "as": "item"},
        {"sum": "response.header.x-reset"},
    ]
    tally = Tally(json.dumps({"tables": [{"name": "t", "by": [], "cap": 1, "measures": measures}]}))
    for batch in batches(calls):
        tally.observe(batch)
    (group,) = json.loads(tally.snapshot())["tables"]["t"]["groups"]
    reset, limit, total = group["measures"]
    assert (reset["value"], reset["unreadable"], limit["value"]) == (120.0, 1, 100.0)
    assert total == {"sum": 30.0, "count": 1.0, "unreadable": 3}


def test_threads_count_into_the_same_tables() -> None:
    tally = Tally(json.dumps({"tables": [{"name": "t", "by": ["route", "status"], "cap": 100}]}))

    def observe() -> None:
        for batch in BATCHES:
            tally.observe(batch)

    threads = [threading.Thread(target=observe) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert "tables" in json.loads(tally.snapshot())
    groups = json.loads(tally.snapshot())["tables"]["t"]["groups"]
    assert sum(group["rows"] for group in groups) == 4 * len(CALLS)


def test_a_bad_table_is_an_error_of_configuration() -> None:
    with pytest.raises(ConfigError, match="table t: colour is no key"):
        Tally('{"tables": [{"name": "t", "by": ["colour"], "cap": 1}]}')
