"""gRPC over TLS: what grpcio says inside its own BoringSSL, which has no symbols, and what its other end shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("h2", reason="the library h2 is not installed")

from tests.e2e.capture import masthead
from tests.e2e.frames import Client
from tests.e2e.processes import executable
from tests.e2e.rows import assert_fields, quality, request_fields, response_fields, target
from tests.e2e.servers import APPS, Server, Spec
from tests.e2e.servers_h2c import regular
from tests.e2e.test_grpc import METADATA, grpc_of, method
from tests.e2e.test_tls import config, started
from tests.e2e.test_tls_http2 import SPECS
from tests.e2e.tls_servers import client_context, make_certificate
from tests.e2e.waiting import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture

grpc = pytest.importorskip("grpc", reason="grpcio is not installed")

pytestmark = pytest.mark.e2e


def _command(directory: Path, port: int) -> list[str]:
    files = map(str, make_certificate(directory))
    return [sys.executable, str(APPS / "grpc_server.py"), str(port), str(directory / "record"), *files]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from started(Spec("grpcio", ("openssl",), _command, ("grpc",)), tmp_path / "server")


@pytest.fixture
def both(capture_with: Callable[..., Capture], tmp_path: Path) -> Capture:
    """`masthead run` that watches this process too: whatever it has that can be seen."""
    own = Path(executable(os.getpid())).name
    return capture_with(directory=config(tmp_path / "both", f'processes = ["{own}"]'))


def credentials(server: Server) -> Any:
    return grpc.ssl_channel_credentials((server.record.parent / "certificate.pem").read_bytes())


def told_of(pid: int) -> list[dict[str, Any]]:
    """What doctor says of the extension of grpcio in a process."""
    done = subprocess.run([*masthead(), "doctor", "--json"], capture_output=True, text=True, timeout=60, check=False)
    report = json.loads(done.stdout)["tls"]
    return [entry for entry in report if entry["pid"] == pid and "cygrpc" in entry["file"]]


def test_between_two_ends_of_grpcio_nothing_is_seen_and_doctor_promises_nothing(server: Server, both: Capture) -> None:
    with grpc.secure_channel(f"localhost:{server.port}", credentials(server)) as channel:
        call = method(channel, "unary_unary", "Unary")
        assert call(b"abc", metadata=METADATA, timeout=DEADLINE) == b"cba"
        for pid in (server.pid, os.getpid()):
            (entry,) = told_of(pid)
            assert (entry["library"], entry["seen"]) == ("boringssl", False)
            assert "symbols" in entry["why"]
    assert json.loads(server.record.read_text())["method"] == "Unary"
    assert both.finish(server.port) == []


def test_a_call_of_another_client_is_a_whole_row_at_that_client(server: Server, both: Capture) -> None:
    fields = [
        [":method", "POST"],
        [":scheme", "https"],
        [":authority", f"localhost:{server.port}"],
        [":path", "/shop.Orders/Unary"],
        ["content-type", "application/grpc"],
        ["te", "trailers"],
        ["grpc-timeout", "20S"],
        ["x-tenant", "acme"],
        ["authorization", "Bearer tiger-2f8c1e"],
    ]
    with Client(server.port, tls=client_context()) as client:
        call = client.start(fields, body=b"\0\0\0\0\3abc")
        client.finish()
        sent, received = client.octets()
        port = client.port
    assert bytes(call.body) == b"\0\0\0\0\3cba"
    (row,) = both.finish(server.port)
    assert row["masthead"]["role"] == "client"
    assert row["masthead"]["source"] == "tls"
    assert row["client"] == {"address": "127.0.0.1", "port": port}
    assert row["http"]["request"]["method"] == "POST"
    assert row["masthead"]["authority"] == f"localhost:{server.port}"
    assert row["url"]["scheme"] == "https"
    assert target(row) == "/shop.Orders/Unary"
    assert row["http"]["response"]["status_code"] == int(call.pseudo(":status") or 0) == 200
    assert_fields(request_fields(row), regular(call.request))
    assert_fields(response_fields(row), regular(call.response))
    assert row["masthead"]["response_trailers"] == call.trailers
    assert ["grpc-status", "0"] in call.trailers
    assert grpc_of(row) == (0, 1, 1)
    assert row["masthead"]["grpc_timeout_ns"] == 20 * 10**9
    assert row["masthead"]["request_head_bytes"] == sent.heads[call.stream]
    assert row["masthead"]["response_head_bytes"] == received.heads[call.stream]
    assert quality(row) == []


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Server]:
    """A server on Python's ssl that writes down every field; it knows nothing of gRPC."""
    yield from started(next(spec for spec in SPECS if spec.name == "h2"), tmp_path / "recorder")


def test_a_call_of_grpcio_is_a_whole_row_at_another_server(recorder: Server, both: Capture) -> None:
    with grpc.secure_channel(f"localhost:{recorder.port}", credentials(recorder)) as channel:
        call = method(channel, "unary_unary", "Unary")
        with pytest.raises(grpc.RpcError):
            call(b"abc", metadata=METADATA, timeout=DEADLINE)
    (entry,) = map(json.loads, recorder.record.read_text().splitlines())
    (row,) = both.finish(recorder.port)
    pseudo = dict(entry["fields"])
    assert row["masthead"]["role"] == "server"
    assert row["masthead"]["source"] == "tls"
    assert target(row) == pseudo[":path"] == "/shop.Orders/Unary"
    assert row["http"]["request"]["method"] == pseudo[":method"] == "POST"
    assert row["masthead"]["authority"] == pseudo[":authority"] == f"localhost:{recorder.port}"
    assert row["url"]["scheme"] == pseudo[":scheme"] == "https"
    assert row["http"]["response"]["status_code"] == entry["status"] == 200
    assert_fields(request_fields(row), regular(entry["fields"]))
    assert_fields(response_fields(row), entry["response"])
    assert 0 < row["masthead"]["grpc_timeout_ns"] <= DEADLINE * 10**9
    assert row["masthead"]["grpc_request_messages"] == 1
