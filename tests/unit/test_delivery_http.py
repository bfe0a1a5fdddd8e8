"""Requests to a server elsewhere: what goes over the wire, what an answer means, and who we say we are."""

from __future__ import annotations

import gzip
import ssl
import subprocess
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from masthead.delivery import Again, Refused, Sent, TooLarge
from masthead.delivery.http import Credentials, Http, Reply, Security, UnreachableError
from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Answering(ThreadingHTTPServer):
    """Answers as it is told, and remembers what it was asked."""

    def __init__(self, status: int = 200, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.answer = (status, body, headers or {})
        self.asked: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Answering
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fields = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append((self.path, fields, body))
        status, content, headers = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


@contextmanager
def serving(server: Answering) -> Iterator[Answering]:
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def http(server: Answering, **more: object) -> Iterator[Http]:
    made = Http(server.url, **more)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        made.close()


def test_content_leaves_compressed_with_its_type_and_our_fields() -> None:
    with serving(Answering()) as server, http(server, headers={"x-tenant": "a"}) as client:
        reply = client.post("/v1/logs?x=1", b"hello" * 100, "text/plain", {"x-more": "b"})
        client.compress = False
        client.post("/", b"plain", "text/plain")
    (path, fields, body), (_, plain_fields, plain) = server.asked
    assert (path, gzip.decompress(body)) == ("/v1/logs?x=1", b"hello" * 100)
    assert (fields["content-type"], fields["content-encoding"]) == ("text/plain", "gzip")
    assert (fields["x-tenant"], fields["x-more"]) == ("a", "b")
    assert reply.sent == len(body) < 100
    assert plain == b"plain"
    assert "content-encoding" not in plain_fields


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, Sent) for status in (200, 202, 204)),
        *((status, Again) for status in (301, 401, 403, 404, 408, 429, 500, 502, 503, 504)),
        (413, TooLarge),
        *((status, Refused) for status in (400, 415, 422)),
    ],
)
def test_a_status_tells_whether_to_try_again(status: int, kind: type) -> None:
    assert isinstance(Reply(status, {}, b"why\nmore").outcome(), kind)


def test_an_answer_is_told_in_one_line() -> None:
    assert Reply(503, {}, b" too busy\nstack trace").text == "status 503: too busy"
    assert Reply(503, {}, b"").text == "status 503"


def test_a_server_may_say_how_long_to_wait() -> None:
    assert Reply(429, {"retry-after": "17"}, b"").after == 17
    date, later = "Tue, 24 Nov 2026 10:00:00 GMT", "Tue, 24 Nov 2026 10:00:30 GMT"
    assert Reply(429, {"date": date, "retry-after": later}, b"").after == 30
    assert Reply(429, {"retry-after": "soon"}, b"").after is None
    assert Reply(429, {}, b"").after is None
    assert Reply(429, {"retry-after": "17"}, b"").outcome() == Again("status 429", 17)


@pytest.mark.parametrize(
    "value",
    [
        "Tue, 24 Nov 2026 10:00:30",
        "Tue, 99 Nov 2026 10:00:30 GMT",
        "Fri, 31 Dec 9999 23:59:59 -2400",
        "-5",
        "1e3",
        "\u00b2",
    ],
)
def test_what_is_no_date_and_no_number_says_nothing(value: str) -> None:
    date = "Tue, 24 Nov 2026 10:00:00 GMT"
    for fields in ({"date": date, "retry-after": value}, {"date": "never", "retry-after": date}, {"retry-after": date}):
        reply = Reply(429, fields, b"")
        assert reply.after is None
        assert reply.outcome() == Again("status 429")


def test_a_time_that_has_passed_is_no_wait() -> None:
    fields = {"date": "Tue, 24 Nov 2026 10:00:00 GMT", "retry-after": "Tue, 24 Nov 2026 09:00:00 GMT"}
    assert Reply(429, fields, b"").after == 0


def test_nobody_there_is_told_in_one_line() -> None:
    server = Answering()
    server.server_close()
    with http(server) as client:
        with pytest.raises(UnreachableError, match="Connection refused"):
            client.post("/", b"", "text/plain")
        outcome = client.attempt("/", b"", "text/plain")
    assert isinstance(outcome, Again)
    assert "Connection refused" in outcome.reason
    assert "0x" not in outcome.reason


def test_credentials_come_from_files_and_variables_and_are_read_anew(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("one\n")
    assert Credentials(user="ann", password_file=str(secret)).headers() == {"authorization": "Basic YW5uOm9uZQ=="}
    token = Credentials(token_file=str(secret))
    assert token.headers() == {"authorization": "Bearer one"}
    secret.write_text("two")
    assert token.headers() == {"authorization": "Bearer two"}
    named = Credentials(token_env="TOKEN", scheme="ApiKey")
    assert named.headers({"TOKEN": "three"}) == {"authorization": "ApiKey three"}
    with pytest.raises(ConfigError, match="not set"):
        named.headers({})
    with pytest.raises(ConfigError, match="can't be read"):
        Credentials(token_file=str(tmp_path / "none")).headers()


def test_a_secret_that_is_gone_is_a_reason_to_wait(tmp_path: Path) -> None:
    with serving(Answering()) as server:
        with http(server, credentials=Credentials(token_file=str(tmp_path / "none"))) as client:
            assert isinstance(client.attempt("/", b"", "text/plain"), Again)
        assert not server.asked


def test_a_server_proves_who_it_is(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {cert} -days 1 -subj /CN=localhost"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True, timeout=30
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = Answering()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    with serving(server):
        for security, trusted in (
            (Security(), False),
            (Security(ca_file=str(cert)), True),
            (Security(verify=False), True),
        ):
            client = Http(url, security)
            if trusted:
                assert client.post("/", b"", "text/plain").ok
            else:
                with pytest.raises(UnreachableError, match=r"(?i)certificate"):
                    client.post("/", b"", "text/plain")
            client.close()
    with pytest.raises(ConfigError, match="no certificate"):
        Http(url, Security(ca_file=str(tmp_path / "none")))
