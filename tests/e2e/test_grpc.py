"""gRPC without TLS, grpcio at both ends: each call is one row at each end with its status, messages and metadata."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.rows import both_ends, quality, request_fields, response_fields, target
from tests.e2e.servers import APPS, Server, Spec, serving
from tests.e2e.waiting import DEADLINE, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.e2e.capture import Capture, Row

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")

pytestmark = pytest.mark.e2e

METADATA = (("x-tenant", "acme"), ("authorization", "Bearer tiger-2f8c1e"))


def _command(directory: Path, port: int) -> list[str]:
    return [sys.executable, str(APPS / "grpc_server.py"), str(port), str(directory / "record")]


SPEC = Spec("grpcio", (), _command, ("grpc",))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    directory = tmp_path / "server"
    directory.mkdir()
    with serving(SPEC, directory) as running:
        yield running


@pytest.fixture
def channel(server: Server, capture: Capture) -> Iterator[Any]:
    # The capture comes first, so that the connection is seen from its beginning.
    assert capture.child.poll() is None
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as made:
        yield made


def one_row(capture: Capture, server: Server, channel: Any) -> tuple[Row, Row]:
    wait_for(server.record.exists, "the server's own record")
    channel.close()
    pairs = both_ends(capture.finish(server.port))
    assert len(pairs) == 1
    served, called = pairs[0]
    entry = json.loads(server.record.read_text().splitlines()[0])
    got = dict(request_fields(served))
    for name, value in entry["fields"]:
        if name.endswith("-bin"):
            assert base64.b64decode(got[name] + "===") == bytes.fromhex(value)
        elif name == "authorization":
            assert "hmac:" in got[name]
        else:
            assert got[name] == value
    assert target(served) == f"/shop.Orders/{entry['method']}"
    return served, called


def method(channel: Any, shape: str, name: str) -> Any:
    return getattr(channel, shape)(f"/shop.Orders/{name}")


def grpc_of(row: Row) -> tuple[Any, Any, Any]:
    told = row["masthead"]
    return told.get("grpc_status"), told.get("grpc_request_messages"), told.get("grpc_response_messages")


def test_a_unary_call(capture: Capture, server: Server, channel: Any) -> None:
    call = method(channel, "unary_unary", "Unary")
    reply, done = call.with_call(b"abc", metadata=METADATA, timeout=DEADLINE)
    assert reply == b"cba"
    for row in one_row(capture, server, channel):
        assert grpc_of(row) == (0, 1, 1)
        assert 0 < row["masthead"]["grpc_timeout_ns"] <= DEADLINE * 10**9
        fields = dict(response_fields(row))
        assert fields["x-served-by"] == dict(done.initial_metadata())["x-served-by"] == "grpcio"
        trailers = dict(row["masthead"]["response_trailers"])
        assert (trailers["grpc-status"], trailers["x-cost"]) == ("0", "17")
        assert quality(row) == []


def test_binary_metadata_are_base64(capture: Capture, server: Server, channel: Any) -> None:
    call = method(channel, "unary_unary", "Unary")
    call(b"abc", metadata=(*METADATA, ("x-blob-bin", b"\x00\xff\x10")))
    for row in one_row(capture, server, channel):
        assert base64.b64decode(dict(response_fields(row))["x-blob-bin"] + "===") == b"\x00\x01\xff"
        assert quality(row) == []


def test_a_call_that_fails_says_status_and_message(capture: Capture, server: Server, channel: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        method(channel, "unary_unary", "Fails")(b"abc", metadata=METADATA)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    for row in one_row(capture, server, channel):
        assert grpc_of(row) == (9, 1, 0)
        sections = [*response_fields(row), *row["masthead"].get("response_trailers", [])]
        assert ["grpc-message", "not now: 100 %25 sp%C3%A4ter"] in sections
        assert quality(row) == []


def test_messages_of_a_client_are_counted(capture: Capture, server: Server, channel: Any) -> None:
    messages = [b"x" * size for size in (0, 1, 100, 200, 5_000, 70_000)]
    assert method(channel, "stream_unary", "Collect")(iter(messages), metadata=METADATA) == b"6"
    for row in one_row(capture, server, channel):
        assert grpc_of(row) == (0, 6, 1)
        assert quality(row) == []


def test_messages_of_a_server_are_counted(capture: Capture, server: Server, channel: Any) -> None:
    replies = list(method(channel, "unary_stream", "Expand")(b"20", metadata=METADATA))
    assert len(replies) == 21
    for row in one_row(capture, server, channel):
        assert grpc_of(row) == (0, 1, 21)
        assert quality(row) == []


def test_messages_both_ways_are_counted(capture: Capture, server: Server, channel: Any) -> None:
    messages = [b"y" * size for size in range(0, 3000, 100)]
    replies = list(method(channel, "stream_stream", "Converse")(iter(messages), metadata=METADATA))
    assert replies == messages
    for row in one_row(capture, server, channel):
        assert grpc_of(row) == (0, 30, 30)
        assert quality(row) == []


def test_a_call_that_the_client_ends_is_marked_reset(capture: Capture, server: Server, channel: Any) -> None:
    call = method(channel, "unary_stream", "Waits")(b"abc", metadata=METADATA)
    assert next(call) == b"still here"
    call.cancel()
    for row in one_row(capture, server, channel):
        assert grpc_of(row)[0] is None
        assert "reset" in quality(row)
        assert grpc_of(row)[1] == 1


def test_a_deadline_that_passes_is_in_the_row(capture: Capture, server: Server, channel: Any) -> None:
    # The deadline runs from the call on: the connection must be there, or it may pass before the server is asked.
    grpc.channel_ready_future(channel).result(DEADLINE)
    with pytest.raises(grpc.RpcError) as caught:
        list(method(channel, "unary_stream", "Waits")(b"abc", metadata=METADATA, timeout=1.5))
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    for row in one_row(capture, server, channel):
        # gRPC rounds what is left up to what it writes (300 ms became 301m).
        assert 0 < row["masthead"]["grpc_timeout_ns"] < 1_600_000_000
        assert target(row) == "/shop.Orders/Waits"
