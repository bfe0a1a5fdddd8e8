"""Dashboards and rules of deploy/: a real Prometheus reads demo data and answers every query.

Dashboards are read with Grafana's own grafana-foundation-sdk, which is generated from Grafana's published schemas: what
it reads and writes again must be what stands in the file, so that no key is misspelt or at the wrong place.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from masthead.config.load import load
from masthead.metrics.sink import MetricsSink, open_metrics
from tests.e2e.waiting import wait_for
from tests.sinks.demo import Forecasts, Health, calls
from tests.sinks.prometheus import Prometheus, Watch
from tests.sinks.servers import ask, lacking
from tests.unit.stored import batches

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus/masthead.rules.yml"
BOARDS = ("calls", "headers", "gateway", "llm-quotas", "masthead")
VARIABLES = {"__rate_interval": "5m", "__range": "5m", "job": "masthead"}
LABEL_VALUES = re.compile(r"label_values\((.+), (\w+)\)")

pytestmark = pytest.mark.sinks
needs_prometheus = pytest.mark.skipif(Prometheus.missing() is not None, reason=Prometheus.missing() or "")
needs_promtool = pytest.mark.skipif(lacking("promtool") is not None, reason=lacking("promtool") or "")


def board(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / f"grafana/{name}.json").read_text())
    return found


def feed(metrics: MetricsSink) -> None:
    for batch in batches(calls(time.time_ns())):
        assert metrics.write(batch) == 0


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MetricsSink]:
    config = load({"prometheus.listen": ":0"}, path=str(DEPLOY / "masthead-metrics.toml"), environ={}).config
    health = Health()
    opened = open_metrics(config, ledger=health.ledger, accounts=health.accounts, version="1.2.3", tell=pytest.fail)
    assert opened is not None
    opened.add(health)
    opened.add(Forecasts(tmp_path_factory.mktemp("store")))
    feed(opened)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def prometheus(metrics: MetricsSink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    watch = Watch([f"127.0.0.1:{metrics.port}"], [RULES])
    with Prometheus(tmp_path_factory.mktemp("prometheus"), watch) as server:
        count = "sum(http_server_request_duration_seconds_count)"
        first = wait_for(lambda: server.query(count), "metrics are read")
        feed(metrics)
        wait_for(lambda: server.query(f"{count} > {first[0]['value'][1]}"), "they are read again")
        yield server


def promtool(*arguments: str, text: str | None = None) -> str:
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


@needs_promtool
def test_promtool_has_nothing_to_say_about_the_metrics(metrics: MetricsSink) -> None:
    text = ask(f"http://127.0.0.1:{metrics.port}/metrics").body.decode()
    assert 'http_route="/v1/orders/{id}"' in text
    assert promtool("check", "metrics", text=text) == ""


@needs_promtool
def test_rules_are_well_formed_and_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", str(RULES))
    assert "SUCCESS" in promtool("check", "config", str(DEPLOY / "prometheus/scrape.yml"))
    tests = DEPLOY / "prometheus/masthead.rules.test.yml"
    assert "SUCCESS" in promtool("test", "rules", str(tests))
    shown = {
        case["alertname"]
        for test in yaml.safe_load(tests.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["exp_alerts"]
    }
    assert shown == {rule["alert"] for rule in rules() if "alert" in rule}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@needs_prometheus
def test_every_rule_is_evaluated(prometheus: Prometheus) -> None:
    def evaluated() -> list[dict[str, Any]]:
        groups = ask(f"{prometheus.url}/api/v1/rules").json()["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else []

    found = wait_for(evaluated, "all rules are evaluated")
    assert len(found) == len(rules())
    assert [rule for rule in found if rule["health"] != "ok"] == []
    for rule in rules():
        if "record" in rule:
            wait_for(partial(prometheus.query, rule["record"]), f"{rule['record']} is recorded")
        else:
            prometheus.query(rule["expr"])


def with_variables(query: str) -> str:
    """Put in what Grafana puts in; `$1` is of label_replace."""
    names = re.compile(r"\$(__\w+|[a-z]\w*)")
    return names.sub(lambda found: VARIABLES.get(found[1], ".*"), query)


def queries(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for variable in document["templating"]["list"]:
        if variable["type"] == "query":
            found = LABEL_VALUES.fullmatch(variable["query"]["query"])
            assert found
            yield variable["name"], f"count by ({found[2]}) ({found[1]}) unless on ({found[2]}) vector(1)"
    for panel in document["panels"]:
        for target in panel.get("targets", ()):
            yield f"{panel['title']} {target['refId']}", target["expr"]


def answered(prometheus: Prometheus, query: str) -> bool:
    return any(not math.isnan(float(series["value"][1])) for series in prometheus.query(with_variables(query)))


@needs_prometheus
@pytest.mark.parametrize("name", BOARDS)
def test_every_query_of_a_dashboard_has_an_answer(prometheus: Prometheus, name: str) -> None:
    asked = list(queries(board(name)))
    assert len(asked) > 10
    assert [(title, query) for title, query in asked if not answered(prometheus, query)] == []


@needs_prometheus
def test_exemplars_lead_to_traces(prometheus: Prometheus) -> None:
    query = "http_server_request_duration_seconds_bucket"
    (first, *_) = ask(f"{prometheus.url}/api/v1/query_exemplars?query={query}&start=0&end=9999999999").json()["data"]
    assert re.fullmatch("[0-9a-f]{32}", first["exemplars"][0]["labels"]["trace_id"])


def missing(ours: object, theirs: object, place: str = "") -> Iterator[str]:
    """Name what Grafana's types did not keep."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from missing(value, theirs[key], f"{place}.{key}")
            elif value is not None:
                yield f"{place}.{key}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from missing(one, other, f"{place}[{index}]")
    elif ours != theirs:
        yield f"{place}: {theirs}"


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_what_grafanas_schema_has(name: str) -> None:
    register_default_plugins()
    document = board(name)
    theirs = json.loads(JSONEncoder().encode(Dashboard.from_json(document)))
    assert list(missing(document, theirs)) == []


@pytest.mark.parametrize("name", BOARDS)
def test_a_dashboard_is_kept_well(name: str) -> None:
    document = board(name)
    panels = document["panels"]
    assert document["uid"] == f"masthead-{name}"
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["title"]
        if panel["type"] != "row":
            assert panel["description"].endswith(".")
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["type"] == "heatmap" or panel["fieldConfig"]["defaults"]["unit"]
    places = [panel["gridPos"] for panel in panels]
    taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24
