"""Real servers and curl: each call is one row at each end, equal to the bytes that passed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.processes import executable
from tests.e2e.rows import assert_fields, assert_row, both_ends, request_fields, target
from tests.e2e.servers import SPECS, Server, Spec, View, serving
from tests.e2e.servers_envoy import answering
from tests.e2e.wire import Conn, Head

if TYPE_CHECKING:
    from tests.e2e.capture import Capture, Row

pytestmark = pytest.mark.e2e

SECRETS = ("tiger-2f8c1e", "lion-77ab04")

COMMON = (
    "Host: 127.0.0.1:{port}\r\nX-Tenant: acme\r\nx-dup: one\r\nX-Dup: two\r\nX-DUP:three\r\nX-Empty:\r\n"
    "X-Padded: \t kept \t\r\nX-Colon: a:b::c\r\nAuthorization: Bearer tiger-2f8c1e\r\n"
    "Cookie: sid=lion-77ab04; theme=dark\r\n"
)

REQUESTS = (
    "GET /orders/7?page=2&sort=a%20b HTTP/1.1\r\n" + COMMON + "\r\n",
    "POST /orders HTTP/1.1\r\n" + COMMON + "Content-Length: 40\r\n\r\nGET /fake HTTP/1.1\r\nHost: nobody\r\n\r\nxxxx",
    "POST /orders HTTP/1.1\r\n" + COMMON + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\n12345\r\n0\r\n\r\n",
    "HEAD /orders/8 HTTP/1.1\r\n" + COMMON + "\r\n",
    "GET /missing/9 HTTP/1.1\r\n" + COMMON + "\r\n",
    "GET /orders/10 HTTP/1.1\r\n" + COMMON + "\r\n",
)


@pytest.fixture(params=[*SPECS, answering()], ids=lambda spec: spec.name)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> object:
    spec: Spec = request.param
    if missing := spec.missing():
        pytest.skip(f"{missing} is not installed")
    directory = tmp_path / "server"
    directory.mkdir()
    with serving(spec, directory) as running:
        yield running


def make_calls(client: Conn, server: Server) -> list[tuple[Head, Head]]:
    """Make all REQUESTS on one connection; return the heads that went out and came back."""
    made = [text.format(port=server.port).encode() for text in REQUESTS]
    return [(Head(sent.split(b"\r\n\r\n")[0] + b"\r\n\r\n"), client.call(sent).head) for sent in made]


def test_each_call_is_one_row_at_each_end_equal_to_the_bytes_that_passed(server: Server, capture: Capture) -> None:
    with Conn.connect("127.0.0.1", server.port) as client:
        own_port = client.port
        heads = make_calls(client, server)
    views = server.views(len(REQUESTS))
    files = server.executables()
    pairs = both_ends(capture.finish(server.port))

    assert len(pairs) == len(REQUESTS)
    for (served, called), (request_head, response_head), view in zip(pairs, heads, views, strict=True):
        assert_row(served, request_head, response_head)
        assert_row(called, request_head, response_head)
        assert called["client"]["port"] == served["client"]["port"] == own_port
        assert_process(called, {os.getpid(): executable(os.getpid())})
        assert_process(served, files)
        assert_view(served, view)
    assert_no_secret(pairs)


def test_curl_is_seen_as_the_client_with_the_bytes_that_it_sent(
    server: Server, capture: Capture, tmp_path: Path
) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    url = f"http://127.0.0.1:{server.port}/orders/3?from=curl"
    received = tmp_path / "received"
    options = ["-sv", "-H", "X-Tenant: acme", "-H", "Authorization: Bearer tiger-2f8c1e", "-b", "sid=lion-77ab04"]
    with subprocess.Popen(
        [curl, *options, "-D", str(received), "-o", str(tmp_path / "body"), url], stderr=subprocess.PIPE
    ) as child:
        _, words = child.communicate(timeout=20)
    assert child.returncode == 0, words
    files = server.executables()
    pairs = both_ends(capture.finish(server.port))

    assert len(pairs) == 1
    request, response = Head(sent_by(words)), Head(received.read_bytes())
    for row in pairs[0]:
        assert_row(row, request, response)
        assert ["X-Tenant", "acme"] in request_fields(row)
    assert_process(pairs[0][1], {child.pid: str(Path(curl).resolve())})
    assert_process(pairs[0][0], files)
    assert_no_secret(pairs)


def sent_by(words: bytes) -> bytes:
    """The request head that `curl -v` says it sent: lines that begin with "> "."""
    lines = [line[2:].rstrip(b"\r") for line in words.split(b"\n") if line.startswith(b"> ")]
    return b"".join(line + b"\r\n" for line in lines)


def assert_process(row: Row, files: dict[int, str]) -> None:
    process = row["process"]
    assert process["pid"] in files
    assert process["executable"]["path"] == files[process["pid"]]


def assert_view(row: Row, view: View) -> None:
    method, _, rest = view.line.partition(" ")
    assert row["http"]["request"]["method"] == method
    assert f"{target(row)} HTTP/{row['network']['protocol']['version']}" == rest
    assert row["http"]["response"]["status_code"] == view.status
    fields = request_fields(row)
    if view.fields is not None:
        assert_fields(fields, view.fields)
    if view.lower is not None:
        # llhttp leaves white space at a value's end to whoever uses it.
        assert_fields(
            [[name.lower(), value] for name, value in fields], [[name, value.strip()] for name, value in view.lower]
        )
    if view.tenant is not None:
        assert ["X-Tenant", view.tenant] in fields


def assert_no_secret(pairs: list[tuple[Row, Row]]) -> None:
    text = str(pairs)
    assert not [secret for secret in SECRETS if secret in text]
    assert "'X-Tenant', 'acme'" in text
