"""The text that is written in one pass says what prometheus-client's own writer says."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from masthead._native import Tally
from masthead.config import Config
from masthead.metrics.collector import CallsCollector
from masthead.metrics.exposition import Exposition
from masthead.metrics.tables import spec_json, tables_of
from tests.unit.stored import batches, call, pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

OPEN = "application/openmetrics-text; version=1.0.0"
METRICS = [
    {"name": "tenant_calls", "labels": {"tenant": "request.header.x-tenant"}},
    {"name": "all_calls"},
    {"name": "cost_total", "from": "response.header.x-cost", "help": 'What "calls" cost \\ in all'},
    {
        "name": "left",
        "kind": "gauge",
        "from": "response.header.x-left",
        "labels": {"tenant": "request.header.x-tenant"},
    },
    {"name": "took_seconds", "kind": "histogram", "from": "ttfb_ns", "buckets": [0.001, 0.1]},
]
TENANTS = ("a", 'quo"ted', "back\\slash", "ünï\u2603", "", None)


def counted() -> CallsCollector:
    tables = tables_of(Config.model_validate({"metrics": METRICS}))
    tally = Tally(spec_json(tables, 1_000))
    rows = [
        call(
            number,
            role=("server", "client")[number % 2],
            route=f"/r/{number % 7}",
            status=(200, 404, 503, None)[number % 4],
            authority="api.example:8080",
            duration_ns=number * 7_000_000,
            ttfb_ns=number * 1_000_003 if number % 3 else None,
            request_body_bytes=number * 1_000,
            response_body_bytes=number**4,
            trace_id=f"{number + 1:032x}" if number % 5 else None,
            parent_id=f"{number + 1:016x}" if number % 5 else None,
            trace_flags=1,
            request_fields=pairs(
                *(("X-Tenant", name) for name in TENANTS[number % 6 : number % 6 + 1] if name is not None)
            ),
            response_fields=pairs(("X-Cost", "0.25"), ("X-Left", str(number))),
        )
        for number in range(400)
    ]
    for batch in batches(rows):
        tally.observe(batch)
    return CallsCollector(tally, tables)


def answer(app: Any, accept: str, encoding: str = "", query: str = "") -> tuple[dict[str, str], bytes]:
    told: dict[str, str] = {}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": query}
    fields = {"HTTP_ACCEPT": accept, "HTTP_ACCEPT_ENCODING": encoding}
    body = b"".join(app({**environ, **fields}, lambda _, headers: told.update(headers)))
    return told, body


def families(text: str, read: Callable[[str], Iterable[Any]]) -> dict[str, Any]:
    return {
        family.name: (
            family.type,
            family.documentation,
            family.unit,
            sorted((each.name, sorted(each.labels.items()), each.value, str(each.exemplar)) for each in family.samples),
        )
        for family in read(text)
    }


@pytest.fixture(scope="module")
def apps() -> tuple[Exposition, Any]:
    calls, registry = counted(), CollectorRegistry(auto_describe=False)
    registry.register(calls)
    library = make_wsgi_app(registry)
    return Exposition(calls, CollectorRegistry(), library), library


@pytest.mark.parametrize(("accept", "read"), [("text/plain", read_text), (OPEN, read_openmetrics)])
def test_it_says_what_the_librarys_writer_says(
    apps: tuple[Exposition, Any], accept: str, read: Callable[[str], Iterable[Any]]
) -> None:
    (kind, ours), (their_kind, theirs) = (answer(app, accept) for app in apps)
    assert kind["Content-Type"].split(";")[:2] == their_kind["Content-Type"].split(";")[:2]
    found = families(ours.decode(), read)
    assert found == families(theirs.decode(), read)
    assert {"tenant_calls", "all_calls", "cost", "left", "took_seconds"} <= found.keys()
    assert len(found["http_server_request_duration_seconds"][3]) > 100
    assert (b"trace_id" in ours) is (accept == OPEN)


def test_a_scrape_leaves_compressed_where_that_is_taken(apps: tuple[Exposition, Any]) -> None:
    ours, _ = apps
    fields, body = answer(ours, "text/plain", "gzip, deflate")
    assert fields["Content-Encoding"] == "gzip"
    assert gzip.decompress(body) == answer(ours, "text/plain")[1]


def test_a_choice_of_names_is_left_to_the_library(apps: tuple[Exposition, Any]) -> None:
    ours, library = apps
    assert answer(ours, "text/plain", query="name[]=x") == answer(library, "text/plain", query="name[]=x")
