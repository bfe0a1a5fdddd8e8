"""HTTP/2 inside TLS: the same calls as without, equal to what both ends sent; streams side by side."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("h2", reason="the library h2 is not installed")

from tests.e2e.frames import Call, Client
from tests.e2e.processes import executable
from tests.e2e.rows import assert_fields, both_ends, ordinal, quality, request_fields, response_fields, target
from tests.e2e.servers import APACHE, APPS, Server, Spec, build_go
from tests.e2e.servers_h2c import GO, HAPROXY, NGINX, regular
from tests.e2e.test_h2c import HASTY, SECRETS, calls, request
from tests.e2e.test_tls import config, started
from tests.e2e.tls_servers import NODE16, caddy, client_context, make_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture, Row

pytestmark = pytest.mark.e2e


def _nginx(directory: Path, port: int) -> list[str]:
    certificate, key = make_certificate(directory)
    text = NGINX.format(directory=directory, port=port)
    files = f"ssl http2; ssl_certificate {certificate}; ssl_certificate_key {key};"
    (directory / "nginx.conf").write_text(
        text.replace(f"listen 127.0.0.1:{port} http2;", f"listen 127.0.0.1:{port} {files}")
    )
    return ["nginx", "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]


def _haproxy(directory: Path, port: int) -> list[str]:
    make_certificate(directory)
    text = HAPROXY.format(port=port).replace("proto h2", f"ssl crt {directory}/both.pem alpn h2")
    (directory / "haproxy.cfg").write_text(text)
    return ["haproxy", "-db", "-f", str(directory / "haproxy.cfg")]


def _apache(directory: Path, port: int) -> list[str]:
    certificate, key = make_certificate(directory)
    modules = "/usr/lib/apache2/modules"
    lines = (
        f"LoadModule socache_shmcb_module {modules}/mod_socache_shmcb.so\nLoadModule ssl_module {modules}/mod_ssl.so\n"
        f"LoadModule http2_module {modules}/mod_http2.so\nProtocols h2\nSSLSessionCache none\nKeepAliveTimeout 60\n"
        f"SSLEngine on\nSSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\n"
    )
    (directory / "apache.conf").write_text(APACHE.format(directory=directory, port=port) + lines)
    (directory / "ok.txt").write_text("ok\n")
    return ["apache2", "-f", str(directory / "apache.conf"), "-DFOREGROUND"]


def _nghttpd(directory: Path, port: int) -> list[str]:
    certificate, key = make_certificate(directory)
    (directory / "orders").write_text("ok\n")
    return ["nghttpd", "-d", str(directory), str(port), str(key), str(certificate)]


def _hypercorn(directory: Path, port: int) -> list[str]:
    certificate, key = make_certificate(directory)
    files = ["--certfile", str(certificate), "--keyfile", str(key), "--keep-alive", "60"]
    return [sys.executable, "-m", "hypercorn", "--bind", f"127.0.0.1:{port}", *files, f"{APPS / 'asgi'}:app"]


def _script(*command: str) -> Callable[[Path, int], list[str]]:
    def make(directory: Path, port: int) -> list[str]:
        files = map(str, make_certificate(directory))
        return [*command, str(port), str(directory / "record"), *files]

    return make


def _go(directory: Path, port: int) -> list[str]:
    binary = directory / "recorder"
    build_go(GO, binary)
    return [str(binary), str(port), str(directory / "record"), *map(str, make_certificate(directory))]


SPECS = [
    Spec("nginx", ("nginx", "openssl"), _nginx),
    Spec("haproxy", ("haproxy", "openssl"), _haproxy),
    Spec("apache", ("apache2", "openssl"), _apache),
    Spec("caddy", ("caddy", "openssl"), caddy),
    Spec("nghttpd", ("nghttpd", "openssl"), _nghttpd),
    Spec("hypercorn", ("openssl",), _hypercorn, ("hypercorn", "h2")),
    Spec("go", ("go", "openssl"), _go),
    Spec("node", ("node", "openssl"), _script("node", str(APPS / "http2.js"))),
    Spec("node16", (NODE16, "openssl"), _script(NODE16, str(APPS / "http2.js"))),
    Spec("h2", ("openssl",), _script(sys.executable, str(APPS / "h2_server.py")), ("h2",)),
    Spec("h2-blocking", ("openssl",), _script(sys.executable, str(APPS / "h2_blocking.py")), ("h2",)),
]


@pytest.fixture(params=SPECS, ids=lambda spec: spec.name)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    yield from started(request.param, tmp_path / "server")


@pytest.fixture
def both(capture_with: Callable[..., Capture], tmp_path: Path) -> Capture:
    """`masthead run` that watches this process too, although it does not listen."""
    own = Path(executable(os.getpid())).name
    return capture_with(directory=config(tmp_path / "both", f'processes = ["{own}"]'))


def test_each_call_is_one_row_at_each_end_equal_to_what_both_sent(server: Server, both: Capture) -> None:
    with Client(server.port, tls=client_context()) as client:
        made = {call.stream: call for call in calls(client, server.port, bodies=server.spec.name not in HASTY)}
        sent, received = client.octets()
        own_port = client.port
    pairs = both_ends(both.finish(server.port))

    assert [ordinal(served) for served, _ in pairs] == sorted(made)
    for pair in pairs:
        stream = ordinal(pair[0])
        for row in pair:
            assert_call(row, made[stream], server.port)
            assert quality(row) == []
            assert row["masthead"]["source"] == "tls"
            assert row["client"] == {"address": "127.0.0.1", "port": own_port}
            assert row["masthead"]["request_head_bytes"] == sent.heads[stream]
            assert row["masthead"]["response_head_bytes"] == received.heads[stream]
            assert row["http"]["request"]["body"]["size"] == sent.data[stream]
            assert row["http"]["response"]["body"]["size"] == received.data[stream]
    assert not [secret for secret in SECRETS if secret in str(pairs)]


def assert_call(row: Row, call: Call, port: int) -> None:
    assert row["http"]["request"]["method"] == call.pseudo(":method")
    assert target(row) == call.pseudo(":path")
    assert row["masthead"]["authority"] == f"127.0.0.1:{port}"
    assert row["network"]["protocol"] == {"name": "http", "version": "2"}
    assert row["http"]["response"]["status_code"] == int(call.pseudo(":status") or 0)
    assert_fields(request_fields(row), regular(call.request))
    assert_fields(response_fields(row), regular(call.response))


def test_a_connection_that_was_there_before_gives_no_wrong_value(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    with Client(server.port, tls=client_context()) as client:
        for number in range(5):
            client.start(request("GET", f"/orders/before/{number}", server.port))
        client.finish()
        capture = capture_with(directory=config(tmp_path / "late"))
        late = [client.start(request("GET", f"/orders/after/{number}", server.port)) for number in range(20)]
        client.finish()
    rows = capture.finish(server.port)
    known = {call.stream: call for call in late}
    assert rows
    for row in rows:
        call = known[ordinal(row)]
        values = {tuple(field) for field in [*regular(call.request), *regular(call.response)]}
        fields = [*request_fields(row), *(response_fields(row) if row["http"].get("response") else [])]
        for name, value in fields:
            if all(part is not None for part in (name, value)) and "hmac:" not in value:
                assert (name, value) in values
        if "target" in row["masthead"]:
            assert target(row) == call.pseudo(":path")
