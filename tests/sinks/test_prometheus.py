"""Metrics: what a real Prometheus reads from masthead's endpoint is what was logged."""

from __future__ import annotations

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

from masthead.config import Config
from masthead.errors import ConfigError
from masthead.ledger import Ledger
from masthead.metrics.sink import MetricsSink, open_metrics
from masthead.samples import Reading
from tests.e2e.servers import free_port
from tests.e2e.waiting import wait_for
from tests.sinks.prometheus import Prometheus, Watch
from tests.unit.stored import Call, batches, call, pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.sinks

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
MS = 1_000_000
ACCOUNT = Ledger({"kernel.seen": 10, "rows.open": 3, "rows.written": 7, "rows.failed_at_sink": 0})


def calls() -> list[Call]:
    """Make 100 calls: 90 of 20 ms and 10 of 2 s; 5 fail; every other one is a trace's."""
    return [
        call(
            number,
            method="GET" if number % 4 else "BREW",
            route="/v1/users/{id}",
            route_source="inferred",
            status=503 if number % 20 == 0 else 200,
            protocol="http/1.1",
            duration_ns=(2_000 if number % 10 == 0 else 20) * MS,
            ttfb_ns=10 * MS,
            request_body_bytes=0,
            response_body_bytes=1_000,
            trace_id=TRACE if number % 2 else None,
            parent_id=SPAN if number % 2 else None,
            trace_flags=1 if number % 2 else None,
            request_fields=pairs(("X-Tenant", f"t{number % 3}")),
            response_fields=pairs(
                ("openai-version", "1"),
                ("X-RateLimit-Limit-Requests", "5000"),
                ("x-ratelimit-remaining-requests", str(4_999 - number)),
                ("x-ratelimit-reset-requests", "6m0s"),
                ("X-Cost", "0.5" if number % 2 else "much"),
            ),
        )
        for number in range(100)
    ]


def opened(**more: Any) -> MetricsSink:
    config = Config.model_validate({"prometheus": {"listen": "127.0.0.1:0", **more.pop("prometheus", {})}, **more})
    sink = open_metrics(
        config,
        ledger=lambda: ACCOUNT,
        accounts=lambda: {"loki": {"received": 7, "sent": 5, "waiting": 2, "failures": 1}},
        version="1.2.3",
        tell=print,
    )
    assert sink is not None
    return sink


def fill(sink: MetricsSink, rows: list[Call] | None = None) -> MetricsSink:
    for batch in batches(calls() if rows is None else rows):
        assert sink.write(batch) == 0
    return sink


@pytest.fixture
def sink() -> Iterator[MetricsSink]:
    user = [
        {"name": "tenant_calls", "labels": {"tenant": "request.header.x-tenant"}},
        {"name": "cost_total", "from": "response.header.x-cost", "help": "What calls cost"},
        {"name": "took_seconds", "kind": "histogram", "from": "ttfb_ns", "buckets": [0.001, 0.1]},
    ]
    made = fill(opened(metrics=user))
    yield made
    made.close()


def get(sink: MetricsSink, path: str = "/metrics", **headers: str) -> tuple[int, str, str]:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(f"http://127.0.0.1:{sink.port}{path}", headers=fields)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["content-type"], answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("www-authenticate", ""), error.read().decode()


def test_a_prometheus_reads_what_was_logged(sink: MetricsSink, tmp_path: Path) -> None:
    if reason := Prometheus.missing():
        pytest.skip(reason)
    sink.add(_Giver())
    watch = Watch(targets=[f"127.0.0.1:{sink.port}"])
    with Prometheus(tmp_path / "prometheus", watch) as server:

        def value(promql: str) -> float:
            found = wait_for(lambda: server.query(promql), promql)
            assert len(found) == 1, found
            return float(found[0]["value"][1])

        total = "http_server_request_duration_seconds_count"
        assert value(f"sum({total})") == 100
        assert value(f'sum({total}{{http_response_status_code="503",error_type="503"}})') == 5
        assert value(f'sum({total}{{http_request_method="_OTHER"}})') == 25
        assert value(f'sum({total}{{http_route="/v1/users/{{id}}",url_scheme="http"}})') == 100
        assert value(f'sum({total}{{network_protocol_version="1.1"}})') == 100
        assert value("sum(http_server_request_duration_seconds_sum)") == pytest.approx(90 * 0.02 + 10 * 2)
        # 90 calls lie between 10 and 25 ms, 10 between 1 and 2.5 s.
        fast = "sum by (le) (http_server_request_duration_seconds_bucket)"
        assert 0.01 < value(f"histogram_quantile(0.5, {fast})") <= 0.025
        assert 1 < value(f"histogram_quantile(0.99, {fast})") <= 2.5
        assert value("sum(http_server_response_body_size_bytes_sum)") == 100_000
        assert value('masthead_ratelimit_remaining{provider="openai",kind="requests"}') == 4_900
        assert value("masthead_ratelimit_remaining_ratio") == pytest.approx(0.98)
        assert value("masthead_ratelimit_reset_seconds") == 360
        assert value('tenant_calls_total{tenant="t0"}') == 34
        assert value("cost_total") == 25
        assert value('masthead_metrics_unreadable_total{metric="cost_total"}') == 50
        assert value('took_seconds_bucket{le="0.1"}') == 100
        assert value('masthead_ledger_total{account="kernel.seen"}') == 10
        assert value("masthead_exchanges_open") == 3
        assert value('masthead_sink_rows_total{sink="loki",outcome="sent"}') == 5
        assert value('ALERTS{alertname="High",alertstate="firing"}') == 1
        assert value('process_resident_memory_bytes{job="masthead"}') > 1_000_000
        begin, end = "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z"
        query = "query=http_server_request_duration_seconds_bucket"
        url = f"{server.url}/api/v1/query_exemplars?{query}&start={begin}&end={end}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            series = json.load(answer)["data"]
        labels = [exemplar["labels"] for each in series for exemplar in each["exemplars"]]
        assert {"trace_id": TRACE, "span_id": SPAN} in labels


class _Giver:
    def samples(self) -> list[Reading]:
        return [Reading("ALERTS", "Alerts", {"alertname": "High", "alertstate": "firing"}, 1)]


def test_promtool_finds_nothing_wrong(sink: MetricsSink) -> None:
    if reason := Prometheus.missing():
        pytest.skip(reason)
    _, _, text = get(sink)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_format_is_what_was_asked_for(sink: MetricsSink) -> None:
    status, kind, text = get(sink)
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    assert "trace_id" not in text
    status, kind, text = get(sink, accept="application/openmetrics-text; version=1.0.0")
    assert (status, kind.split(";")[0]) == (200, "application/openmetrics-text")
    assert f'trace_id="{TRACE}"' in text
    assert f'span_id="{SPAN}"' in text
    assert text.endswith("# EOF\n")
    assert get(sink, "/-/healthy")[0] == 200
    assert get(sink, "/other")[0] == 404


@pytest.mark.parametrize(
    ("setting", "secret", "sent"),
    [
        ("bearer_token_file", "open", "Bearer open"),
        ("basic_auth_file", "ann:open", f"Basic {b64encode(b'ann:open').decode()}"),
    ],
)
def test_only_who_may_reads(tmp_path: Path, setting: str, secret: str, sent: str) -> None:
    file = tmp_path / "secret"
    file.write_text(f"{secret}\n")
    sink = opened(prometheus={setting: str(file)})
    try:
        assert get(sink)[0] == 401
        assert get(sink, authorization="Bearer wrong")[0] == 401
        assert get(sink, authorization=sent)[0] == 200
    finally:
        sink.close()


def test_it_speaks_tls(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} -days 1 -subj /CN=localhost"
    subprocess.run([*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    sink = opened(prometheus={"cert_file": str(cert), "key_file": str(key)})
    context = ssl.create_default_context(cafile=str(cert))
    url = f"https://127.0.0.1:{sink.port}/metrics"
    with urllib.request.urlopen(url, timeout=10, context=context) as answer:
        assert answer.status == 200
    sink.close()


def test_label_sets_are_bounded_and_the_rest_is_counted() -> None:
    rows = [call(number, route=f"/r{number}", status=200, duration_ns=MS) for number in range(50)]
    sink = fill(opened(prometheus={"max_label_sets": 10}), rows)
    _, _, text = get(sink)
    sink.close()
    counts = [
        float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith("http_server_request_duration_seconds_count")
    ]
    assert sum(counts) == 50
    assert len(counts) <= 11
    assert 'http_route="_other"' in text
    name = "http_server_request_duration_seconds"
    told = f'masthead_metrics_overflow_total{{metric="{name}"'
    (overflow,) = [line for line in text.splitlines() if line.startswith(told)]
    assert float(overflow.rsplit(" ", 1)[1]) >= 39


def test_routes_that_were_inferred_can_be_left_out() -> None:
    sink = fill(opened(prometheus={"inferred_routes": False}))
    _, _, text = get(sink)
    sink.close()
    assert 'http_route="/v1/users/{id}"' not in text
    assert 'http_route=""' in text


@pytest.mark.parametrize(
    "metric",
    [
        {"name": "a b"},
        {"name": "http_calls"},
        {"name": "x", "kind": "gauge"},
        {"name": "x", "kind": "histogram", "from": "ttfb_ns"},
        {"name": "x", "labels": {"le": "route"}},
    ],
)
def test_a_metric_that_can_not_be_is_refused(metric: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"metrics"):
        Config.model_validate({"metrics": [metric]})


def test_a_metric_of_what_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing"):
        opened(metrics=[{"name": "x", "from": "nothing"}])


def test_an_address_that_is_taken_is_told(sink: MetricsSink) -> None:
    with pytest.raises(ConfigError, match="can't listen at"):
        opened(prometheus={"listen": f"127.0.0.1:{sink.port}"})


@pytest.mark.e2e
def test_a_running_masthead_serves_them(capture_with: Callable[..., Any]) -> None:
    port = free_port()
    capture = capture_with("--metrics", f"127.0.0.1:{port}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    assert "masthead_ledger_closed 1.0" in text
    capture.finish()
