"""`masthead sinks`: what is set, whether it works, and what a server needs before rows come."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from masthead.commands import execute
from masthead.delivery import Load, Sent
from masthead.delivery.http import Http
from masthead.errors import OutputError, UsageError
from masthead.sinks.elasticsearch import ElasticsearchSender
from masthead.sinks.indices import mappings, policy, prepare, template
from tests.sinks.clickhouse.server import ClickHouse
from tests.sinks.house import House
from tests.sinks.opensearch.server import OpenSearch
from tests.sinks.servers import ask
from tests.unit.stored import batches, call, pairs
from tests.unit.test_delivery_http import Answering, serving
from tests.unit.test_wire import whole

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.sinks


def settings(tmp_path: Path, *sinks: dict[str, Any]) -> list[str]:
    file = tmp_path / "masthead.toml"
    tables = (
        "[[sink]]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in sink.items()) for sink in sinks
    )
    file.write_text(f'[redact]\nkey_file = "{tmp_path / "key"}"\n' + "".join(tables))
    return ["--config", str(file)]


def test_sinks_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = settings(tmp_path, {"kind": "webhook", "url": "http://a.example/x"}, {"kind": "file", "path": "/tmp/x"})
    assert execute(["sinks", "list", *flags]) == 0
    assert capsys.readouterr().out.split() == ["webhook", "webhook", "http://a.example/x", "file", "file", "/tmp/x"]


def test_none_and_unknown_ones_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there are no sinks"):
        execute(["sinks", "list", *settings(tmp_path)])
    with pytest.raises(UsageError, match="there is no such sink") as caught:
        execute(["sinks", "test", "other", *settings(tmp_path, {"kind": "file", "path": "/tmp/x"})])
    assert caught.value.remedy == "there are: file"


def test_a_call_is_sent_to_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "calls.ndjson"
    with serving(Answering()) as server, serving(Answering(503, b"away")) as down:
        flags = settings(
            tmp_path,
            {"kind": "file", "path": str(path)},
            {"kind": "webhook", "url": server.url},
            {"kind": "webhook", "name": "down", "url": down.url},
        )
        assert execute(["sinks", "test", *flags]) == 1
        assert execute(["sinks", "test", "file", "webhook", *flags]) == 0
    told = capsys.readouterr().err
    assert "file: took a call: GET /masthead-test" in told
    assert "down: status 503: away" in told
    row = json.loads(path.read_text().splitlines()[0])
    assert row["url"]["path"] == "/masthead-test"
    assert row["time"] > "2026"
    # Each has an id of its own: a server that has it already would prove nothing.
    assert len({line["masthead"]["exchange_id"] for line in map(json.loads, path.read_text().splitlines())}) == 2


def test_a_sink_for_metrics_alone_says_that_no_call_was_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(Answering()) as server, serving(Answering(503, b"\x1b[2Jaway")) as down:
        sinks = [
            {"kind": "otlp", "name": name, "url": url, "signals": ["metrics"]}
            for name, url in (("up", server.url), ("down", down.url))
        ]
        assert execute(["sinks", "test", *settings(tmp_path, *sinks)]) == 1
    told = capsys.readouterr().err
    assert "up: sends metrics alone, no calls: took a request without any" in told
    # What a server says does not steer the terminal.
    assert "down: status 503: \\x1b[2Jaway" in told
    assert [path for path, _, _ in server.asked] == ["/v1/metrics"]


def test_passwords_in_addresses_are_not_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sinks = (
        {"kind": "webhook", "url": "https://hooks.example/x?token=hidden"},
        {"kind": "clickhouse", "url": "clickhouse://ann@db.example/calls"},
    )
    assert execute(["sinks", "list", *settings(tmp_path, *sinks)]) == 0
    told = capsys.readouterr().out
    assert "hidden" not in told
    assert "clickhouse://***@db.example/calls" in told


def test_an_opensearch_takes_the_template_and_keeps_every_field(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if reason := OpenSearch.missing():
        pytest.skip(reason)
    with OpenSearch(tmp_path / "opensearch") as server:
        flags = settings(tmp_path, {"kind": "opensearch", "url": server.url, "index": "calls"})
        assert execute(["sinks", "init", *flags]) == 0
        assert "index template masthead for calls" in capsys.readouterr().err
        batch = whole()
        reply = ask(f"{server.url}/_bulk", batch.bulk("calls"), content_type="application/x-ndjson")
        assert not reply.json()["errors"], reply.body[:2000]
        assert server.count("calls") == batch.num_rows
        assert (
            server.search("calls", {"term": {"masthead.exchange_id": "odd"}})[0]["http"]["request"]["method"] == "BREW"
        )
        assert len(server.search("calls", {"term": {"http.request.headers.request-id": "r1"}})) == 1
        assert len(server.search("calls", {"term": {"source.ip": "10.0.0.0/24"}})) == 100
        mapping = ask(f"{server.url}/calls/_mapping").json()
        (index,) = mapping.values()
        assert index["mappings"]["properties"]["http"]["properties"]["request"]["properties"]["headers"] == {
            "type": "flat_object"
        }
        assert ask(f"{server.url}/_data_stream/calls").status == 200


def test_a_row_whose_fields_an_index_refuses_is_there_without_them(tmp_path: Path) -> None:
    if reason := OpenSearch.missing():
        pytest.skip(reason)
    odd = [
        call(0, exchange_id="plain"),
        call(1, exchange_id="value", request_fields=pairs(("A", "v" * 40_000))),
        call(2, exchange_id="name", response_fields=pairs(("n" * 33_000, "v"))),
        call(3, exchange_id="trailer", request_trailers=pairs(("T", "v" * 40_000))),
        call(4, exchange_id="dots", request_fields=pairs((".", "1"), ("a..b", "2"), ("", "3"))),
    ]
    (batch,) = batches(odd)
    with OpenSearch(tmp_path / "opensearch") as server:
        http = Http(server.url)
        prepare(http, "opensearch", "calls", "1d")
        outcome = ElasticsearchSender(http, "calls").send(Load(batch, "t-1"))
        assert isinstance(outcome, Sent)
        assert (outcome.cut, outcome.refused, outcome.again) == (3, 0, ())
        http.close()
        found = {hit["masthead"]["exchange_id"]: hit for hit in server.search("calls", size=10)}
    assert {name: hit["masthead"].get("cut") for name, hit in found.items()} == {
        "plain": None,
        "value": True,
        "name": True,
        "trailer": True,
        "dots": None,
    }


def test_an_elasticsearch_is_given_policy_and_template() -> None:
    with serving(Answering(200, b"{}")) as server:
        http = Http(server.url)
        assert prepare(http, "elasticsearch", "logs-x", "30d") == (
            "index template masthead for logs-x; lifecycle policy masthead: 30d"
        )
        http.close()
    (first, _, body), (second, _, body2) = server.asked
    assert (first, second) == ("/_ilm/policy/masthead", "/_index_template/masthead")
    assert json.loads(body)["policy"]["phases"]["delete"]["min_age"] == "30d"
    made = json.loads(body2)
    assert made["template"]["settings"]["index.lifecycle.name"] == "masthead"
    assert made["template"]["mappings"]["properties"]["http"]["properties"]["request"]["properties"]["headers"] == {
        "type": "flattened",
        "ignore_above": 8191,
    }


def test_a_server_that_refuses_is_told() -> None:
    with serving(Answering(403, b"no")) as server:
        http = Http(server.url)
        with pytest.raises(OutputError, match="was refused: status 403: no"):
            prepare(http, "opensearch", "logs-x", "30d")
        http.close()
    with pytest.raises(OutputError, match="no answer"):
        prepare(Http("http://127.0.0.1:1"), "opensearch", "logs-x", "30d")


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (400, b'{"error":"no handler found for uri [/_ilm/policy/masthead] and method [PUT]"}', "no lifecycle policy"),
        (404, b"", "no lifecycle policy"),
        (400, b'{"error":{"reason":"failed to parse setting [min_age]"}}', None),
    ],
)
def test_a_policy_that_is_wrong_is_told_from_a_server_without_any(status: int, body: bytes, told: str | None) -> None:
    answers: dict[str, tuple[int, bytes, dict[str, str]]] = {"/_ilm/policy/masthead": (status, body, {})}

    class Policies(Answering):
        @property
        def answer(self) -> tuple[int, bytes, dict[str, str]]:
            return answers.get(self.asked[-1][0], (200, b"{}", {}))

        @answer.setter
        def answer(self, _: object) -> None: ...

    with serving(Policies()) as server:
        http = Http(server.url)
        if told:
            assert told in prepare(http, "elasticsearch", "logs-x", "30d")
        else:
            with pytest.raises(OutputError, match="the lifecycle policy was refused"):
                prepare(http, "elasticsearch", "logs-x", "30x")
        http.close()


def test_every_field_of_a_document_has_a_type_that_fits() -> None:
    known = mappings("elasticsearch")["properties"]
    assert known["@timestamp"] == {"type": "date_nanos"}
    assert known["client"]["properties"]["ip"] == {"type": "ip"}
    assert template("opensearch", "x")["data_stream"] == {}
    assert policy("opensearch", "x", "7d")["policy"]["states"][0]["transitions"][0]["conditions"] == {
        "min_index_age": "7d"
    }


def test_a_clickhouse_gets_its_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if reason := ClickHouse.missing():
        pytest.skip(reason)
    with House(tmp_path / "house") as house:
        sink = {"kind": "clickhouse", "url": house.place, "password_file": str(house.secret)}
        assert execute(["sinks", "init", *settings(tmp_path, sink)]) == 0
        assert "statements run" in capsys.readouterr().err
        assert execute(["sinks", "test", *settings(tmp_path, sink)]) == 0
        assert house.count("path = '/masthead-test'") == 1
