"""Common clients of HTTP/2 inside TLS, named in `tls.processes`: rows say what client and server say of a call."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("h2", reason="the library h2 is not installed")

import h2.config
import h2.connection
import h2.events

from tests.e2e.frames import text
from tests.e2e.processes import executable, leashed
from tests.e2e.rows import assert_fields, both_ends, ordinal, quality, request_fields, response_fields, target
from tests.e2e.servers import APPS, Server
from tests.e2e.servers_h2c import regular
from tests.e2e.test_tls import again_until_seen, config, started
from tests.e2e.test_tls_http2 import SPECS
from tests.e2e.tls_servers import client_context
from tests.e2e.waiting import DEADLINE, Lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture, Row

pytestmark = pytest.mark.e2e

Fields = list[list[str]]

TRAILERS: Fields = [["x-checksum", "17"], ["x-note", "the end"]]
"""Those of `h2_server.py`."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """The one that writes down every field, in order."""
    spec = next(spec for spec in SPECS if spec.name == "h2")
    yield from started(spec, tmp_path / "server")


def watching(program: str, capture_with: Callable[..., Capture], tmp_path: Path) -> Capture:
    """Run masthead with this program named, if it is here."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    return capture_with(directory=config(tmp_path / program, f'processes = ["{program}"]'))


def recorded(server: Server, path: str) -> list[dict[str, Any]]:
    """What the server wrote down of the calls to this path."""
    entries = [json.loads(line) for line in server.record.read_text().splitlines()]
    return [entry for entry in entries if [":path", path] in entry["fields"]]


def assert_recorded(row: Row, entry: dict[str, Any], server: Server) -> None:
    """Fail unless a row says what the server says of its call, field by field."""
    pseudo = dict(entry["fields"])
    assert quality(row) == []
    assert row["masthead"]["source"] == "tls"
    assert row["server"] == {"address": "127.0.0.1", "port": server.port}
    assert row["network"]["protocol"] == {"name": "http", "version": "2"}
    assert row["http"]["request"]["method"] == pseudo[":method"]
    assert row["url"]["scheme"] == pseudo[":scheme"] == "https"
    assert row["masthead"]["authority"] == pseudo[":authority"] == f"127.0.0.1:{server.port}"
    assert target(row) == pseudo[":path"]
    assert row["http"]["response"]["status_code"] == entry["status"]
    assert_fields(request_fields(row), regular(entry["fields"]))
    assert_fields(response_fields(row), entry["response"])
    if pseudo[":method"] != "HEAD":
        assert row["masthead"]["response_trailers"] == TRAILERS


def last_pair(rows: list[Row]) -> tuple[Row, Row]:
    """Give the last call that the client's row has whole, as both ends' rows; probes came before it, or meanwhile."""
    path = next(target(row) for row in reversed(rows) if row["masthead"]["role"] == "client" and quality(row) == [])
    ((served, called),) = both_ends([row for row in rows if row["masthead"].get("target") == path])
    return served, called


def sent_and_received(program: str, words: str, dumped: Path) -> tuple[Fields | None, Fields]:
    """What a client says that it sent and got, as far as it says so; received trailers follow the fields."""
    if program == "curl":
        lines = dumped.read_text().splitlines()
        return None, [line.split(": ", 1) if ": " in line else [line.rstrip(":"), ""] for line in lines[1:] if line]
    plain = re.sub(r"\x1b\[[0-9;]*m", "", words)
    head = plain.split("send HEADERS frame", 1)[1].split("[  ", 1)[0]
    sent = re.findall(r"^ {10}(:?[a-z][^:\n]*): ?(.*)$", head, re.MULTILINE)
    received = re.findall(r"recv \(stream_id=\d+\) (:?[^:\n]+): ?(.*)$", plain, re.MULTILINE)
    return [list(pair) for pair in sent], regular([list(pair) for pair in received])


@pytest.mark.parametrize("program", ["curl", "nghttp"])
def test_a_client_s_call_is_one_row_at_each_end_equal_to_what_both_say(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path, program: str
) -> None:
    capture = watching(program, capture_with, tmp_path)
    how = {"curl": ["-sk", "--http2", "-o", os.devnull], "nghttp": ["-v"]}[program]
    fields = ["-H", "x-tenant: acme", "-H", "authorization: Bearer tiger-2f8c1e"]
    numbers = itertools.count()
    told: dict[str, tuple[str, int]] = {}

    def call() -> None:
        path = f"/orders/{next(numbers)}?from={program}"
        dump = ["-D", str(tmp_path / f"received-{len(told)}")] if program == "curl" else []
        line = [program, *how, *dump, *fields, f"https://127.0.0.1:{server.port}{path}"]
        with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
            words = child.communicate(timeout=20)[0].decode()
        assert child.returncode == 0, words
        told[path] = words, child.pid

    again_until_seen(capture, server, call, "client")
    served, called = last_pair(capture.finish(server.port))
    words, pid = told[target(called)]
    (entry,) = recorded(server, target(called))
    sent, received = sent_and_received(program, words, tmp_path / f"received-{list(told).index(target(called))}")
    for row in (served, called):
        assert_recorded(row, entry, server)
        assert [*response_fields(row), *row["masthead"]["response_trailers"]] == received
    assert sent is None or sent == entry["fields"]
    assert called["process"]["pid"] == pid
    assert Path(called["process"]["executable"]["path"]).name == program


def test_node_s_calls_are_one_row_at_each_end_equal_to_what_both_say(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    capture = watching("node", capture_with, tmp_path)
    command = [*leashed("KILL"), "node", str(APPS / "http2_client.js"), str(server.port)]
    paths: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        lines = Lines(child.stdout)
        stdin = child.stdin

        def call() -> None:
            paths.append(f"/orders/{len(paths)}?from=node")
            stdin.write(f"{paths[-1]}\n".encode())
            stdin.flush()
            lines.wait(lambda known: len(known) == len(paths), "the client's own record")

        again_until_seen(capture, server, call, "client")
        stdin.close()
        assert child.wait(DEADLINE) == 0
    served, called = last_pair(capture.finish(server.port))
    (entry,) = recorded(server, target(called))
    told = json.loads(lines.so_far()[paths.index(target(called))])
    for row in (served, called):
        assert_recorded(row, entry, server)
        assert response_fields(row) == regular(told["response"])
        assert row["masthead"]["response_trailers"] == told["trailers"] == TRAILERS
        assert row["client"] == {"address": "127.0.0.1", "port": told["port"]}
    assert called["process"]["pid"] == child.pid
    assert ["x-dup", "one"] in request_fields(called)


def test_h2load_s_calls_are_each_one_row_at_each_end_equal_to_what_the_server_says(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    capture = watching("h2load", capture_with, tmp_path)
    # Two connections at once, for which probes may come too late, and two more, half a second after each other.
    many = ["-n", "80", "-c", "4", "-r", "1", "--rate-period=500ms", "-m", "5"]
    line = ["h2load", *many, "-H", "x-tenant: acme", f"https://127.0.0.1:{server.port}/orders/1?from=h2load"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=20, check=True)
    assert "80 succeeded" in done.stdout
    rows = capture.finish(server.port)
    entries = recorded(server, "/orders/1?from=h2load")
    assert len(entries) == 80
    _, _, *later = dict.fromkeys(entry["peer"] for entry in entries)
    assert len(later) == 2
    for peer in later:
        known = {entry["stream"]: entry for entry in entries if entry["peer"] == peer}
        pairs = both_ends([row for row in rows if row["client"]["port"] == peer])
        assert [ordinal(served) for served, _ in pairs] == sorted(known)
        assert len(known) == 20
        for pair in pairs:
            for row in pair:
                assert_recorded(row, known[ordinal(row)], server)


async def call_once(port: int, fields: Fields) -> tuple[int, Fields, Fields]:
    """Call by the library h2 on asyncio; give the client's port and the fields and trailers that came."""
    tls = client_context()
    tls.set_alpn_protocols(["h2"])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
    own = int(writer.get_extra_info("sockname")[1])
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
    connection.initiate_connection()
    connection.send_headers(1, [(name, value) for name, value in fields], end_stream=True)
    sections: list[Fields] = []
    ended = False
    while not ended:
        writer.write(connection.data_to_send())
        for event in connection.receive_data(await asyncio.wait_for(reader.read(65536), DEADLINE)):
            if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                sections.append(text(event.headers))
            ended = ended or isinstance(event, h2.events.StreamEnded)
    connection.close_connection()
    writer.write(connection.data_to_send())
    writer.close()
    await writer.wait_closed()
    response, trailers = sections
    return own, response, trailers


def test_a_call_of_h2_on_asyncio_is_one_row_at_each_end_equal_to_what_both_say(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    own = Path(executable(os.getpid())).name
    capture = capture_with(directory=config(tmp_path / "asyncio", f'processes = ["{own}"]'))
    path = "/orders/1?from=asyncio"
    head = [[":method", "GET"], [":scheme", "https"], [":authority", f"127.0.0.1:{server.port}"], [":path", path]]
    sent = [*head, ["x-tenant", "acme"], ["x-dup", "one"], ["x-dup", "two"], ["authorization", "Bearer tiger-2f8c1e"]]
    port, response, trailers = asyncio.run(call_once(server.port, sent))
    served, called = last_pair(capture.finish(server.port))
    (entry,) = recorded(server, path)
    assert entry["fields"] == sent
    for row in (served, called):
        assert_recorded(row, entry, server)
        assert response_fields(row) == regular(response)
        assert row["masthead"]["response_trailers"] == trailers
        assert row["client"] == {"address": "127.0.0.1", "port": port}
    assert called["process"]["pid"] == os.getpid()
