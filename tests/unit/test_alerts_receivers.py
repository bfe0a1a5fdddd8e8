"""Receivers against real servers on loopback: Alertmanager, SMTP, HTTP; and a program."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from masthead.alerts.notify.notice import Notice, Told
from masthead.alerts.notify.post import Couriers, RefusedError
from masthead.alerts.notify.program import Program
from masthead.alerts.notify.slack import Slack
from masthead.alerts.notify.smtp import Smtp
from masthead.alerts.notify.webhook import Webhook
from masthead.config.alerts import ExecReceiver, HttpReceiver, SmtpReceiver
from masthead.errors import OutputError
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SECOND = 1_000_000_000
NOW = 1_785_715_200 * SECOND
ALERT = Told({"alertname": "Slow", "route": "/a<b>"}, {"summary": "slow & sad"}, 1.5, NOW)


def notice(*alerts: Told, at_ns: int = NOW) -> Notice:
    return Notice("ops", {"alertname": "Slow"}, alerts or (ALERT,), at_ns, "http://here.example/alerts")


@dataclass
class Web:
    """A web server that answers what it is told and keeps what it got."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


@pytest.fixture
def web() -> Iterator[Web]:
    with web_server() as kept:
        yield kept


@contextlib.contextmanager
def web_server(context: ssl.SSLContext | None = None) -> Iterator[Web]:
    kept = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            kept.got.append((self.path, {name.lower(): text for name, text in self.headers.items()}, json.loads(body)))
            self.send_response(kept.answers.pop(0) if kept.answers else 200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        kept.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


def http(url: str, **more: Any) -> HttpReceiver:
    return HttpReceiver.model_validate({"name": "ops", "url": url, **more})


def test_a_webhook_gets_alertmanagers_payload(web: Web, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    Webhook(http(f"{web.url}/hook", token_file=str(tmp_path / "token"))).deliver(notice())
    ((path, headers, body),) = web.got
    assert path == "/hook"
    assert headers["authorization"] == "Bearer secret"
    assert headers["content-type"] == "application/json"
    assert body == json.loads(json.dumps(notice().payload()))


def test_a_password_comes_from_the_environment(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = http(f"{web.url}/hook", user="me", password_env="PASSWORD_OF_OPS")
    with pytest.raises(RefusedError, match="PASSWORD_OF_OPS"):
        Webhook(settings).deliver(notice())
    monkeypatch.setenv("PASSWORD_OF_OPS", "x")
    Webhook(settings).deliver(notice())
    assert web.got[0][1]["authorization"] == "Basic bWU6eA=="


def test_of_a_token_file_the_first_line_counts(web: Web, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n# rotated in May\n")
    Webhook(http(f"{web.url}/hook", token_file=str(tmp_path / "token"))).deliver(notice())
    assert web.got[0][1]["authorization"] == "Bearer secret"


def test_a_secret_that_can_not_be_sent_is_not_told(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_OPS", "s3cr3t\nmore")
    with pytest.raises(RefusedError, match="can't be sent") as raised:
        Webhook(http(f"{web.url}/hook", token_env="TOKEN_OF_OPS")).deliver(notice())
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_slack_gets_a_message_without_foreign_markup(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_URL", f"{web.url}/services/T0/B0/x")
    Slack(HttpReceiver.model_validate({"name": "chat", "url_env": "SLACK_URL"})).deliver(notice())
    ((path, _, body),) = web.got
    assert path == "/services/T0/B0/x"
    assert body["text"] == "[FIRING:1] Slow"
    (attachment,) = body["attachments"]
    assert attachment["color"] == "danger"
    assert "slow &amp; sad" in attachment["text"]
    assert "/a&lt;b&gt;" in attachment["text"]


@pytest.mark.parametrize(("status", "refused"), [(404, True), (401, True), (429, False), (503, False), (302, False)])
def test_answers_that_are_worth_another_attempt_are_told_from_those_that_are_not(
    web: Web, status: int, *, refused: bool
) -> None:
    web.answers = [status]
    with pytest.raises(OutputError) as raised:
        Webhook(http(f"{web.url}/secret-path")).deliver(notice())
    assert isinstance(raised.value, RefusedError) == refused
    assert str(status) in str(raised.value)


def test_a_url_may_be_a_secret_and_is_not_told() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/services/very-secret"
        with pytest.raises(OutputError) as raised:
            Webhook(http(url)).deliver(notice())
    assert "very-secret" not in str(raised.value)


def test_a_certificate_is_checked(tmp_path: Path) -> None:
    pem, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with web_server(context) as web:
        Webhook(http(web.url, ca_file=pem)).deliver(notice())
        with pytest.raises(OutputError, match="CERTIFICATE_VERIFY_FAILED"):
            Webhook(http(web.url)).deliver(notice())
    assert len(web.got) == 1


def test_one_that_hangs_keeps_nobody_waiting(web: Web) -> None:
    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen(8)
        slow = Webhook(http(f"http://127.0.0.1:{hanging.getsockname()[1]}", timeout="60s"))
        couriers = Couriers({"slow": slow, "ops": Webhook(http(web.url))}, lambda _: None)
        outcomes: list[str] = []
        couriers.send(replace(notice(), receiver="slow"), lambda outcome: outcomes.append(f"slow {outcome}"))
        for _ in range(3):
            couriers.send(notice(), outcomes.append)
        wait_for(lambda: outcomes == ["sent"] * 3, "the others are told")
        couriers.close()


def test_couriers_try_again_and_give_up_on_refusals(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masthead.alerts.notify.post.FIRST_PAUSE", 0.001)
    told: list[str] = []
    outcomes: list[str] = []
    couriers = Couriers({"ops": Webhook(http(web.url))}, told.append)
    web.answers = [503, 503]
    couriers.send(notice(), outcomes.append)
    wait_for(lambda: outcomes == ["sent"], "it is delivered at the third attempt")
    assert len(web.got) == 3
    web.answers = [400]
    couriers.send(notice(), outcomes.append)
    wait_for(lambda: outcomes == ["sent", "failed"], "a refusal is final")
    assert len(web.got) == 4
    web.answers = [503] * 9
    couriers.send(notice(), outcomes.append)
    wait_for(lambda: len(outcomes) == 3, "it is given up")
    assert len(web.got) == 9
    assert ["refuses" in told[0], "5 attempts" in told[1]] == [True, True]
    couriers.close()


def test_a_program_gets_json_on_its_standard_input(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    code = f"import sys, pathlib; pathlib.Path({str(out)!r}).write_text(sys.stdin.read() + str(sys.argv[1:]))"
    settings = ExecReceiver.model_validate({"name": "p", "command": [sys.executable, "-c", code, "$(id); x"]})
    Program(settings).deliver(notice())
    assert out.read_text() == json.dumps(notice().payload()) + "['$(id); x']"


def test_a_program_that_fails_hangs_or_is_not_there() -> None:
    def deliver(*command: str) -> None:
        Program(ExecReceiver.model_validate({"name": "p", "command": list(command), "timeout": "0.2s"})).deliver(
            notice()
        )

    with pytest.raises(OutputError, match="ended with 3: no"):
        deliver("/bin/sh", "-c", "echo no >&2; exit 3")
    with pytest.raises(OutputError, match=r"longer than 0.2s"):
        deliver("/bin/sleep", "60")
    with pytest.raises(RefusedError, match="can't be started"):
        deliver("/nonexistent")


class Mailbox:
    """An SMTP server's handler that keeps what comes."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], bytes]] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


def certificate(folder: Path) -> tuple[str, str]:
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed: no certificate for the SMTP server")
    key, pem = str(folder / "key.pem"), str(folder / "cert.pem")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", pem, "-days", "2"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return pem, key


@contextlib.contextmanager
def mail_server(handler: Mailbox, **more: Any) -> Iterator[int]:
    controller = pytest.importorskip("aiosmtpd.controller", reason="aiosmtpd is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = controller.Controller(handler, hostname="127.0.0.1", port=port, **more)
    server.start()
    yield port
    server.stop()


def smtp(port: int, **more: Any) -> Smtp:
    settings = {
        "name": "m",
        "host": "127.0.0.1",
        "port": port,
        "from": "m@a.example",
        "to": ["o@a.example", "p@b.example"],
    }
    return Smtp(SmtpReceiver.model_validate({**settings, "timeout": "5s", **more}))


def test_mail_arrives_whole_in_plain_text() -> None:
    box = Mailbox()
    with mail_server(box) as port:
        smtp(port, tls="none").deliver(notice())
    ((sender, to, content),) = box.mails
    assert (sender, to) == ("m@a.example", ["o@a.example", "p@b.example"])
    assert b"Subject: [FIRING:1] Slow\r\n" in content
    assert b"slow & sad" in content
    assert b"Auto-Submitted: auto-generated" in content


def test_mail_is_encrypted_and_signed_in_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "right")
    pem, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    results = pytest.importorskip("aiosmtpd.smtp", reason="aiosmtpd is not installed")

    def check(_server: object, _session: object, _envelope: object, _mechanism: str, data: Any) -> Any:
        return results.AuthResult(success=data.password == b"right", handled=False)

    box = Mailbox()
    signed = {"user": "me", "password_env": "MAIL_PASSWORD", "ca_file": pem}
    with mail_server(box, tls_context=context, require_starttls=True, authenticator=check, auth_required=True) as port:
        smtp(port, **signed).deliver(notice())
        assert len(box.mails) == 1
        with pytest.raises(OutputError, match="CERTIFICATE_VERIFY_FAILED"):
            smtp(port, **{**signed, "ca_file": ""}).deliver(notice())
        monkeypatch.setenv("MAIL_PASSWORD", "wrong")
        with pytest.raises(RefusedError, match="535"):
            smtp(port, **signed).deliver(notice())
    with mail_server(box, ssl_context=context) as port:
        smtp(port, tls="tls", ca_file=pem).deliver(notice())
    assert len(box.mails) == 2


def test_a_mail_server_that_is_not_there() -> None:
    with pytest.raises(OutputError, match="ConnectionRefused"):
        smtp(1, tls="none").deliver(notice())
