"""Envoy as a proxy, each of its two connections a row at each end; and behind TLS, where only the other end is seen.

What it answers by itself in clear text is in `test_servers.py` and `test_h2c.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("h2", reason="the library h2 is not installed")

from tests.e2e import servers, servers_h2c
from tests.e2e.capture import masthead
from tests.e2e.frames import Client
from tests.e2e.processes import executable
from tests.e2e.rows import (
    assert_fields,
    assert_row,
    both_ends,
    ordinal,
    quality,
    request_fields,
    response_fields,
    role,
    target,
)
from tests.e2e.servers_envoy import answering, proxying
from tests.e2e.test_h2c import assert_call, request
from tests.e2e.test_servers import REQUESTS, assert_no_secret, assert_view, make_calls
from tests.e2e.test_tls import assert_tls, config, started
from tests.e2e.tls_servers import client_context, connect
from tests.e2e.wire import Conn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture, Row
    from tests.e2e.servers import Server, Spec

pytestmark = pytest.mark.e2e


def named(specs: list[Spec], name: str) -> Spec:
    return next(spec for spec in specs if spec.name == name)


running = contextmanager(started)


def assert_ends(pair: tuple[Row, Row], server: Server, client: int) -> None:
    """Fail unless a call's rows are of these two processes and have no mark."""
    served, called = pair
    assert quality(served) == quality(called) == []
    assert served["process"]["pid"] in server.executables()
    assert called["process"]["pid"] == client
    assert called["process"]["executable"]["path"] == executable(client)


def test_as_a_proxy_of_http1_both_sides_are_rows_equal_to_what_each_end_saw(capture: Capture, tmp_path: Path) -> None:
    upstream_spec = named(servers.SPECS, "http.server")
    with (
        running(upstream_spec, tmp_path / "upstream") as upstream,
        running(proxying(upstream.port, http2=False), tmp_path / "envoy") as envoy,
    ):
        with Conn.connect("127.0.0.1", envoy.port) as client:
            heads = make_calls(client, envoy)
        views = upstream.views(len(REQUESTS))
        rows = capture.finish(None)
        front, back = both_sides(rows, envoy, upstream)
    assert len(front) == len(back) == len(REQUESTS)
    for pair, (request_head, response_head) in zip(front, heads, strict=True):
        for row in pair:
            assert_row(row, request_head, response_head)
    # Over several connections the pairs are not in the order of their calls.
    left = {key_of(row["http"]["request"]["method"], target(row), request_fields(row)): row for row, _ in back}
    for view in views:
        assert view.fields is not None
        verb, path, _ = view.line.split(" ")
        row = left.pop(key_of(verb, path, view.fields))
        # Envoy writes names in small letters, also that of the tenant.
        assert_view(row, replace(view, tenant=None))
        assert ["x-tenant", "acme"] in request_fields(row)
    assert left == {}
    assert_no_secret(front)


def both_sides(rows: list[Row], envoy: Server, upstream: Server) -> tuple[list[tuple[Row, Row]], list[tuple[Row, Row]]]:
    """Pair the rows of the calls that enter Envoy, and of those that leave it; fail where an end is not theirs."""
    front, back = (both_ends(of_port(rows, server.port)) for server in (envoy, upstream))
    for pair in front:
        assert_ends(pair, envoy, os.getpid())
    for pair in back:
        assert_ends(pair, upstream, envoy.pid)
    return front, back


def key_of(method: str, path: str, fields: list[list[str]]) -> tuple[Any, ...]:
    """What tells the calls apart."""
    return method, path, tuple(name for name, _ in fields)


def test_as_a_proxy_of_http2_both_sides_are_rows_equal_to_what_each_end_saw(capture: Capture, tmp_path: Path) -> None:
    upstream_spec = named(servers_h2c.SPECS, "h2")
    with (
        running(upstream_spec, tmp_path / "upstream") as upstream,
        running(proxying(upstream.port, http2=True), tmp_path / "envoy") as envoy,
    ):
        with Client(envoy.port) as client:
            for number in range(6):
                body = bytes(number * 1000) if number % 2 else None
                method = "POST" if body else "GET"
                client.start(request(method, f"/orders/{number}?page=2", envoy.port), body=body)
            client.start(request("GET", "/missing/7", envoy.port))
            made = {call.stream: call for call in client.finish()}
            sent, received = client.octets()
        entries = {
            dict(entry["fields"])[":path"]: entry for entry in map(json.loads, upstream.record.read_text().splitlines())
        }
        rows = capture.finish(None)
        front, back = both_sides(rows, envoy, upstream)
    assert [ordinal(served) for served, _ in front] == sorted(made)
    for pair in front:
        stream = ordinal(pair[0])
        for row in pair:
            assert_call(row, made[stream], envoy.port)
            assert row["masthead"]["request_head_bytes"] == sent.heads[stream]
            assert row["masthead"]["response_head_bytes"] == received.heads[stream]
            assert row["http"]["request"]["body"]["size"] == sent.data[stream]
            assert row["http"]["response"]["body"]["size"] == received.data[stream]
    assert len(back) == len(entries) == len(made)
    for row, _ in back:
        entry = entries[target(row)]
        assert row["http"]["request"]["method"] == dict(entry["fields"])[":method"]
        assert row["masthead"]["authority"] == dict(entry["fields"])[":authority"]
        assert row["http"]["response"]["status_code"] == entry["status"]
        assert_fields(request_fields(row), servers_h2c.regular(entry["fields"]))
        assert_fields(response_fields(row), entry["response"])
        assert row["masthead"]["response_trailers"] == [["x-checksum", "17"], ["x-note", "the end"]]


def of_port(rows: list[Row], port: int) -> list[Row]:
    return [row for row in rows if row["server"].get("port") == port]


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Server]:
    """Envoy behind TLS; it is there before masthead is."""
    yield from started(answering(tls=True), tmp_path / "envoy")


@pytest.fixture
def watched(capture_with: Callable[..., Capture], tmp_path: Path) -> Capture:
    """`masthead run` that watches Envoy and this process by name."""
    own = Path(executable(os.getpid())).name
    return capture_with(directory=config(tmp_path / "watched", f'processes = ["{own}", "envoy"]'))


def assert_unseen(server: Server) -> None:
    """Fail unless doctor says of each TLS library of this process that it is not seen: it must promise nothing."""
    done = subprocess.run([*masthead(), "doctor", "--json"], capture_output=True, text=True, timeout=60, check=False)
    entries = [entry for entry in json.loads(done.stdout)["tls"] if entry["pid"] == server.pid]
    assert entries
    for entry in entries:
        assert "boringssl" in entry["library"]
        assert not entry["seen"]
        assert "symbols" in entry["why"]


def test_behind_tls_of_http1_there_are_rows_of_the_client_alone(secured: Server, watched: Capture) -> None:
    with connect(secured) as client:
        heads = make_calls(client, secured)
        port = client.port
    secured.views(len(REQUESTS))
    assert_unseen(secured)
    rows = watched.finish(secured.port)
    called = role(rows, "client")
    # BoringSSL is linked into Envoy, which has no symbols.
    assert len(called) == len(rows) == len(REQUESTS)
    for row, (request_head, response_head) in zip(called, heads, strict=True):
        assert_row(row, request_head, response_head)
        assert_tls(row, secured, port)


def test_behind_tls_of_http2_there_are_rows_of_the_client_alone(secured: Server, watched: Capture) -> None:
    with Client(secured.port, tls=client_context()) as client:
        for number in range(6):
            client.start(request("GET", f"/orders/{number}", secured.port))
        client.start(request("GET", "/missing/7", secured.port))
        made = {call.stream: call for call in client.finish()}
        port = client.port
    rows = watched.finish(secured.port)
    called = role(rows, "client")
    assert [ordinal(row) for row in called] == sorted(made)
    assert len(rows) == len(called)
    for row in called:
        assert_call(row, made[ordinal(row)], secured.port)
        assert_tls(row, secured, port)
        assert quality(row) == []
    assert {row["http"]["response"]["status_code"] for row in called} == {200, 404}
    assert all(["x-served-by", "envoy"] in response_fields(row) for row in called)
