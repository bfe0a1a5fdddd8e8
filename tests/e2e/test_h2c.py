"""HTTP/2 without TLS: real servers, and clients that keep every field; each call is one row at each end, the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("h2", reason="the library h2 is not installed")

from tests.e2e.frames import Call, Client, Fields
from tests.e2e.processes import executable
from tests.e2e.rows import assert_fields, both_ends, ordinal, quality, request_fields, response_fields, target
from tests.e2e.servers import Server, Spec, serving
from tests.e2e.servers_envoy import answering
from tests.e2e.servers_h2c import SPECS, Seen, go_is_old, record, regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.capture import Capture, Row

pytestmark = pytest.mark.e2e

SECRETS = ("tiger-2f8c1e", "lion-77ab04")

HASTY = {"nginx", "caddy", "haproxy", "apache"}
"""Those that answer here without reading a body, and reset what is left of it whenever they come to it."""

COMMON: Fields = [
    ["x-tenant", "acme"],
    ["x-dup", "one"],
    ["x-dup", "two"],
    ["x-empty", ""],
    ["x-colon", "a:b::c"],
    ["x-long", "abcdefgh" * 250],
    ["authorization", "Bearer tiger-2f8c1e"],
    ["cookie", "sid=lion-77ab04; theme=dark"],
]


@pytest.fixture(params=[*SPECS, answering()], ids=lambda spec: spec.name)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    spec: Spec = request.param
    reason = (missing := spec.missing()) and f"{missing} is not installed"
    if reason := reason or (go_is_old() if spec.name == "go" else None):
        pytest.skip(reason)
    directory = tmp_path / "server"
    directory.mkdir()
    with serving(spec, directory) as running:
        yield running


def request(method: str, path: str, port: int, more: Fields | None = None) -> Fields:
    pseudo = [[":method", method], [":scheme", "http"], [":authority", f"127.0.0.1:{port}"], [":path", path]]
    return [*pseudo, *COMMON, *(more or [])]


def calls(client: Client, port: int, *, bodies: bool = True) -> list[Call]:
    """Six calls, of which five are under way at once."""
    short, long = (b"x" * 40, bytes(40_000)) if bodies else (None, None)
    client.start(request("GET", "/orders/7?page=2&sort=a%20b", port))
    client.finish()
    client.start(request("GET", "/orders", port))
    client.start(request("POST", "/orders", port), body=short)
    client.start(request("POST", "/orders/8", port, [["x-call", "large"]]), body=long)
    client.start(request("HEAD", "/orders", port))
    client.start(request("GET", "/missing/10", port))
    return client.finish()


@pytest.mark.parametrize(
    ("step", "frame"), [(None, None), (7, None), (None, 400)], ids=["whole", "seven octets a segment", "small frames"]
)
def test_each_call_is_one_row_at_each_end_equal_to_what_both_sent(
    server: Server, capture: Capture, step: int | None, frame: int | None
) -> None:
    with Client(server.port, step, frame) as client:
        bodies = server.spec.name not in HASTY
        made = {call.stream: call for call in calls(client, server.port, bodies=bodies)}
        sent, received = client.octets()
        own_port = client.port
    views = record(server, len(made))
    files = server.executables()
    pairs = both_ends(capture.finish(server.port))

    assert [ordinal(served) for served, _ in pairs] == sorted(made)
    for pair in pairs:
        stream = ordinal(pair[0])
        for row in pair:
            assert_call(row, made[stream], server.port)
            assert quality(row) == []
            assert row["client"]["port"] == own_port
            assert row["masthead"]["request_head_bytes"] == sent.heads[stream]
            assert row["masthead"]["response_head_bytes"] == received.heads[stream]
            assert row["http"]["request"]["body"]["size"] == sent.data[stream]
            assert row["http"]["response"]["body"]["size"] == received.data[stream]
        assert pair[0]["process"]["pid"] in files
        assert pair[1]["process"] | {"pid": os.getpid()} == pair[1]["process"]
        assert pair[1]["process"]["executable"]["path"] == executable(os.getpid())
    if views is not None:
        assert_record([served for served, _ in pairs], views)
    assert not [secret for secret in SECRETS if secret in str(pairs)]


def assert_call(row: Row, call: Call, port: int) -> None:
    assert row["http"]["request"]["method"] == call.pseudo(":method")
    assert target(row) == call.pseudo(":path")
    assert row["url"]["scheme"] == "http"
    assert row["masthead"]["authority"] == f"127.0.0.1:{port}"
    assert row["network"]["protocol"] == {"name": "http", "version": "2"}
    assert row["http"]["response"]["status_code"] == int(call.pseudo(":status") or 0)
    assert_fields(request_fields(row), regular(call.request))
    assert_fields(response_fields(row), regular(call.response))
    assert row["masthead"].get("response_trailers", []) == call.trailers


def assert_record(rows: list[Row], views: list[Seen]) -> None:
    """What the server says of its requests, which it may write down in another order."""
    assert len(rows) == len(views)
    left = list(rows)
    for view in views:
        found = next((row for row in left if matches(row, view)), None)
        assert found is not None, view
        left.remove(found)


def matches(row: Row, view: Seen) -> bool:
    if (target(row), row["http"]["response"]["status_code"]) != (view.path, view.status):
        return False
    fields = request_fields(row)
    if view.tenant is not None and ["x-tenant", view.tenant] not in fields:
        return False
    if view.fields is None:
        return True
    secret = {"authorization", "cookie"}
    mine = [[name, value] for name, value in fields if name not in secret]
    theirs = [[name, value] for name, value in view.fields if name not in secret and name != "host"]
    # Go takes the length out of the fields, and keeps no order.
    return mine == theirs if view.ordered else sorted(mine) == sorted(theirs)


def test_a_server_may_speak_in_the_middle_of_the_preface(capture: Capture, tmp_path: Path) -> None:
    directory = tmp_path / "server"
    directory.mkdir()
    spec = next(spec for spec in SPECS if spec.name == "h2")
    with serving(spec, directory) as server, Client(server.port, opening=7) as client:
        made = calls(client, server.port)
    pairs = both_ends(capture.finish(server.port))
    assert [ordinal(served) for served, _ in pairs] == sorted(call.stream for call in made)
    assert all(quality(row) == [] for pair in pairs for row in pair)


@pytest.mark.parametrize("command", ["curl", "curl --http2", "nghttp"])
def test_common_clients_are_seen_with_the_fields_that_they_say_they_sent(
    capture: Capture, tmp_path: Path, command: str
) -> None:
    program = command.split(maxsplit=1)[0]
    spec = next(spec for spec in SPECS if spec.name == "hypercorn")
    for missing in (spec.missing(), None if shutil.which(program) else program):
        if missing:
            pytest.skip(f"{missing} is not installed")
    directory = tmp_path / "server"
    directory.mkdir()
    with serving(spec, directory) as server:
        url = f"http://127.0.0.1:{server.port}/orders/3?from={program}"
        how = {"curl": ["--http2-prior-knowledge"], "curl --http2": ["--http2"], "nghttp": []}[command]
        line = [program, "-v", *how, "-H", "x-tenant: acme", url]
        done = subprocess.run(line, capture_output=True, text=True, timeout=20, check=True)
        views = record(server, 1)
        pairs = both_ends(capture.finish(server.port))
    assert len(pairs) == 1, done.stderr
    for row in pairs[0]:
        assert target(row) == f"/orders/3?from={program}"
        assert row["http"]["response"]["status_code"] == 200
        assert ["x-tenant", "acme"] in [[name.lower(), value] for name, value in request_fields(row)]
        assert ["x-served-by", "uvicorn"] in response_fields(row)
        assert quality(row) == []
    if command != "curl --http2":
        assert views
        assert_record([pairs[0][0]], views)
