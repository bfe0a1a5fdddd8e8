"""gRPC through Envoy, grpcio at both ends: each call is two rows on each side of the proxy, with the same messages."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("h2", reason="the library h2 is not installed")

from tests.e2e.rows import request_fields, response_fields, target
from tests.e2e.servers_envoy import proxying
from tests.e2e.test_envoy import both_sides
from tests.e2e.test_grpc import METADATA, SPEC, grpc_of, method
from tests.e2e.test_tls import started
from tests.e2e.waiting import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.capture import Capture, Row
    from tests.e2e.servers import Server

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")

pytestmark = pytest.mark.e2e

running = contextmanager(started)


@pytest.fixture
def through(capture: Capture, tmp_path: Path) -> Iterator[Callable[[Callable[[Any], object]], list[Row]]]:
    """Make a call through Envoy; returns its rows, those of the side of the client first."""
    with (
        running(SPEC, tmp_path / "upstream") as upstream,
        running(proxying(upstream.port, http2=True), tmp_path / "envoy") as envoy,
    ):

        def make(call: Callable[[Any], object]) -> list[Row]:
            with grpc.insecure_channel(f"127.0.0.1:{envoy.port}") as channel:
                call(channel)
                wait_for(upstream.record.exists, "the server's own record")
            return rows_of(capture, envoy, upstream)

        yield make


def rows_of(capture: Capture, envoy: Server, upstream: Server) -> list[Row]:
    """Return the four rows of one call; fail where they are not what the server wrote down, or what Envoy passed on."""
    (front,), (back,) = both_sides(capture.finish(None), envoy, upstream)
    entry = json.loads(upstream.record.read_text().splitlines()[0])
    rows = [*front, *back]
    for row in rows:
        assert target(row) == f"/shop.Orders/{entry['method']}"
        got = request_fields(row)
        assert ["x-tenant", "acme"] in got
        assert "hmac:" in dict(got)["authorization"]
        assert ["content-type", "application/grpc"] in got
    received = {tuple(field) for field in entry["fields"] if field[0] != "authorization"}
    assert received <= {tuple(field) for field in request_fields(back[0])}
    assert front[0]["masthead"].get("response_trailers") == back[0]["masthead"].get("response_trailers")
    return rows


def test_a_unary_call(through: Callable[[Callable[[Any], object]], list[Row]]) -> None:
    def call(channel: Any) -> None:
        assert method(channel, "unary_unary", "Unary")(b"abc", metadata=METADATA, timeout=DEADLINE) == b"cba"

    for row in through(call):
        assert grpc_of(row) == (0, 1, 1)
        assert 0 < row["masthead"]["grpc_timeout_ns"] <= DEADLINE * 10**9
        assert dict(response_fields(row))["x-served-by"] == "grpcio"
        assert ["x-cost", "17"] in row["masthead"]["response_trailers"]


def test_a_call_that_fails(through: Callable[[Callable[[Any], object]], list[Row]]) -> None:
    def call(channel: Any) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            method(channel, "unary_unary", "Fails")(b"abc", metadata=METADATA)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION

    for row in through(call):
        assert grpc_of(row) == (9, 1, 0)
        sections = [*response_fields(row), *row["masthead"].get("response_trailers", [])]
        assert ["grpc-message", "not now: 100 %25 sp%C3%A4ter"] in sections


def test_messages_one_after_another_both_ways(through: Callable[[Callable[[Any], object]], list[Row]]) -> None:
    def call(channel: Any) -> None:
        messages = [b"y" * size for size in range(0, 3000, 100)]
        assert list(method(channel, "stream_stream", "Converse")(iter(messages), metadata=METADATA)) == messages

    for row in through(call):
        status, sent, received = grpc_of(row)
        assert status == 0
        # Envoy may put several messages into one frame, and then their number is not known: null, never another number.
        assert sent in {None, 30}
        assert received in {None, 30}
