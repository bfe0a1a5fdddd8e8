"""Go's own TLS under load, and on stacks that grow: each call is a row, with its addresses, and no value is wrong."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import leashed
from tests.e2e.rows import assert_fields, connection, quality, request_fields, role, target, targets
from tests.e2e.servers import Server, Spec, build_go
from tests.e2e.test_tls import again_until_seen, config, started
from tests.e2e.test_tls_http2 import SPECS
from tests.e2e.tls_servers import NGINX_TLS, RENEGOTIATING, TLS_SPECS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(shutil.which("go") is None, reason="go is not installed")]

CLIENT = Path(__file__).parent / "go_tls_client"
TRANSPORT = Path(__file__).parent / "go_transport"
RENEGOTIATES = Path(__file__).parent / "go_renegotiates"
CALLS = 4000
CONNECTIONS = 20
BODY = 6000
"""Bytes that `go_h2c` answers with, chunks or frames around them apart."""


def spec(name: str, specs: list[Spec]) -> Spec:
    return next(spec for spec in specs if spec.name == name)


@pytest.fixture(params=["--h1", "-m10"], ids=["http/1", "http/2"])
def loaded(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Server, str]]:
    for server in started(spec("go", SPECS), tmp_path / "server"):
        yield server, request.param


def test_each_call_of_many_goroutines_is_a_row(
    loaded: tuple[Server, str], capture_with: Callable[..., Capture]
) -> None:
    server, how = loaded
    if shutil.which("h2load") is None:
        pytest.skip("h2load is not installed")
    capture = capture_with()
    command = ["h2load", how, f"-n{CALLS}", f"-c{CONNECTIONS}", f"https://127.0.0.1:{server.port}/orders"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert f"{CALLS} succeeded" in said
    capture.wait_rows(server.port, CALLS, "server")
    rows = role(capture.finish(server.port), "server")

    assert len(rows) == CALLS
    assert Counter(targets(rows)) == {"/orders": CALLS}
    assert {row["http"]["response"]["status_code"] for row in rows} == {200}
    (size,) = {row["http"]["response"]["body"]["size"] for row in rows}
    assert size >= BODY
    assert [quality(row) for row in rows if quality(row)] == []
    # Goroutines change threads; the addresses are those of their own connections all the same.
    ends = {(connection(row), row["client"]["port"]) for row in rows}
    assert len(ends) == len({port for _, port in ends}) == CONNECTIONS
    assert {row["server"]["port"] for row in rows} == {server.port}


@contextmanager
def conversing(*command: str) -> Iterator[Callable[[], int]]:
    """Run a client that makes a connection for each line; what is given has it make one, and returns its number."""
    connections = itertools.count()
    with subprocess.Popen([*leashed("KILL"), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:

        def converse() -> int:
            number = next(connections)
            assert client.stdin is not None
            assert client.stdout is not None
            client.stdin.write(b"\n")
            client.stdin.flush()
            assert client.stdout.readline() == f"done {number}\n".encode()
            return number

        yield converse
        client.communicate()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from started(spec("go", TLS_SPECS), tmp_path / "server")


def test_a_client_on_growing_stacks_is_read_whole(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    binary = tmp_path / "goclient"
    build_go(CLIENT, binary)
    count = 400
    capture = capture_with(directory=config(tmp_path / "named", f'processes = ["{binary.name}"]'))
    with conversing(str(binary), str(server.port), str(count)) as converse:
        again_until_seen(capture, server, converse, "client")
        last = converse()
    rows = [row for row in capture.finish(server.port) if row["masthead"]["role"] == "client"]
    paths = [target(row) for row in rows if quality(row) == []]
    # The probes come while it speaks; from then on no call is missing.
    connection, number = map(int, paths[0].removeprefix("/orders/").split("-"))
    every = [f"/orders/{one}-{call}" for one in range(connection, last + 1) for call in range(count)]
    assert paths == every[number:]
    assert len(rows) - len(paths) <= 1
    for row in rows[len(rows) - len(paths) :]:
        assert_fields(request_fields(row), [["Host", "localhost"], ["X-Path", target(row)]])
        assert row["server"] == {"address": "127.0.0.1", "port": server.port}


def test_a_client_whose_server_negotiates_again_is_read_on(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    binary = tmp_path / "renegotiates"
    build_go(RENEGOTIATES, binary)
    for server in started(RENEGOTIATING, tmp_path / "server"):
        capture = capture_with(directory=config(tmp_path / "named", f'processes = ["{binary.name}"]'))
        with conversing(str(binary), str(server.port)) as converse:
            again_until_seen(capture, server, converse, "client")
            converse()
        rows = role(capture.finish(server.port), "client")
    # What is inside TLS has a number of its own, which begins `exchange_id`: a session that were begun anew had two.
    sessions = {(row["client"]["port"], row["masthead"]["exchange_id"].rsplit("-", 2)[0]) for row in rows}
    assert len(rows) >= 3
    assert len(sessions) == len({port for port, _ in sessions})
    assert all("joined" not in quality(row) for row in rows if row["client"] == rows[-1]["client"])


def test_a_client_that_reads_and_writes_on_two_processors_is_told_in_order(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    binary = tmp_path / "gotransport"
    build_go(TRANSPORT, binary)
    workers, calls = 8, 100
    capture = capture_with(directory=config(tmp_path / "named", f'listening = false\nprocesses = ["{binary.name}"]'))
    for nginx in started(NGINX_TLS, tmp_path / "server"):
        command = [*leashed("KILL"), str(binary), str(nginx.port), str(workers), str(calls)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:

            def converse(client: subprocess.Popen[bytes] = client) -> None:
                assert client.stdin is not None
                assert client.stdout is not None
                client.stdin.write(b"\n")
                client.stdin.flush()
                assert client.stdout.readline() == b"done\n"

            # The first connections may be met in their middle.
            again_until_seen(capture, nginx, converse, "client")
            converse()
            client.communicate()
        rows = role(capture.finish(nginx.port), "client")
        # What has no request belongs to connections that were met in their middle.
        assert all("joined" in quality(row) for row in rows if "no_request" in quality(row))
        asked = [row for row in rows if "no_request" not in quality(row)]
        last = max(int(target(row).split("/")[2].split("-")[0]) for row in asked)
        mine = [row for row in asked if target(row).startswith(f"/orders/{last}-")]
        assert sorted(targets(mine)) == sorted(f"/orders/{last}-{w}-{c}" for w in range(workers) for c in range(calls))
        assert [quality(row) for row in mine if quality(row)] == []
        assert {row["http"]["response"]["status_code"] for row in mine} == {200}
