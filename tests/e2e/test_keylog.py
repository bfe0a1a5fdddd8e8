"""`masthead replay --keylog`: recorded TLS, judged by what both ends saw and by tshark with the same key log."""

from __future__ import annotations

import functools
import json
import os
import shutil
import ssl
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.processes import running
from tests.e2e.recording import recorded, tshark
from tests.e2e.rows import quality, request_fields, response_fields, targets
from tests.e2e.servers import free_port, listening
from tests.e2e.tls_ends import Answering, certificate, client, read_head
from tests.e2e.waiting import Lines, wait_for

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not all(map(shutil.which, ("tcpdump", "tshark", "openssl", "curl", "editcap"))),
        reason="tcpdump, tshark, editcap, openssl and curl are needed",
    ),
]

NGINX = """
daemon off;
error_log {directory}/error;
pid {directory}/pid;
worker_processes 1;
events {{}}
http {{
  access_log off;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {directory}/cert.pem;
    ssl_certificate_key {directory}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_early_data on;
    ssl_session_tickets on;
    ssl_ecdh_curve {curve};
    ssl_ciphers ALL:@SECLEVEL=0;
    location / {{
      add_header X-Two one;
      add_header x-two two;
      return 200 "this is $uri\\n";
    }}
  }}
}}
"""


@dataclass
class Replayed:
    rows: list[dict[str, Any]]
    said: str

    def count(self, name: str) -> int:
        """A count of the ledger's line about TLS."""
        line = next(line for line in self.said.splitlines() if line.startswith("  tls "))
        words = line.split("  ")
        found = [word.rsplit(" ", 1)[1] for word in words if word.rsplit(" ", 1)[0].strip() == name]
        return int(found[0].replace(",", "")) if found else 0


def replay(file: Path, *keylogs: Path) -> Replayed:
    options = [option for keylog in keylogs for option in ("--keylog", str(keylog))]
    command = [sys.executable, "-m", "masthead", "replay", "--ledger", "--no-redaction", "--headers", "pairs"]
    done = subprocess.run([*command, *options, str(file)], capture_output=True, check=False, timeout=120)
    said = done.stderr.decode()
    assert done.returncode == 0, said
    assert said.rstrip().endswith("everything is accounted for"), said
    return Replayed([json.loads(line) for line in done.stdout.splitlines()], said)


def joined(pairs: Sequence[Sequence[str]]) -> list[str]:
    return [f"{name}: {value}" for name, value in pairs]


def assert_as_tshark(rows: list[dict[str, Any]], file: Path, keylog: Path | None) -> None:
    """Start lines, statuses and fields in order and case, message by message."""
    seen = tshark(file, keylog)
    requests = [packet for packet in seen if "http.request.method" in packet]
    responses = [packet for packet in seen if "http.response.code" in packet]
    assert [[row["http"]["request"]["method"], row["masthead"]["target"]] for row in rows] == [
        [*packet["http.request.method"], *packet["http.request.uri"]] for packet in requests
    ]
    for row, packet in zip(rows, requests, strict=True):
        assert joined(request_fields(row)) == [line.rstrip("\r\n") for line in packet["http.request.line"]]
    assert [str(row["http"]["response"]["status_code"]) for row in rows] == [
        code for packet in responses for code in packet["http.response.code"]
    ]
    for row, packet in zip(rows, responses, strict=True):
        assert joined(response_fields(row)) == [line.rstrip("\r\n") for line in packet["http.response.line"]]


@dataclass
class Nginx:
    port: int
    directory: Path


@pytest.fixture(scope="module", params=["X25519"])
def nginx(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if not shutil.which("nginx"):
        pytest.skip("nginx is not installed")
    directory, port = tmp_path_factory.mktemp("nginx"), free_port()
    made, _ = certificate(directory)
    rsa = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*rsa, "-keyout", directory / "key.pem", "-out", made], check=True, capture_output=True)
    config = directory / "nginx.conf"
    config.write_text(NGINX.format(directory=directory, port=port, curve=request.param))
    with running(["nginx", "-c", str(config), "-p", str(directory)], directory / "words"):
        wait_for(lambda: listening(port), "nginx listens")
        yield Nginx(port, directory)


def curl(keylog: Path, port: int, paths: Sequence[str], *options: str) -> None:
    urls = [part for path in paths for part in (f"https://127.0.0.1:{port}{path}", "-o", os.devnull)]
    command = ["curl", "-sSk", "--http1.1", "-H", "X-Case: AbC", *options, *urls]
    subprocess.run(command, check=True, timeout=60, env={**os.environ, "SSLKEYLOGFILE": str(keylog)})


SUITES = [
    ("--tls13-ciphers", "TLS_AES_128_GCM_SHA256", "--tlsv1.3"),
    ("--tls13-ciphers", "TLS_AES_256_GCM_SHA384", "--tlsv1.3"),
    ("--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256", "--tlsv1.3"),
    ("--ciphers", "ECDHE-RSA-AES128-GCM-SHA256", "--tls-max", "1.2"),
    ("--ciphers", "ECDHE-RSA-AES256-GCM-SHA384", "--tls-max", "1.2"),
    ("--ciphers", "ECDHE-RSA-CHACHA20-POLY1305", "--tls-max", "1.2"),
    ("--ciphers", "AES128-GCM-SHA256", "--tls-max", "1.2"),
    ("--ciphers", "AES256-CCM", "--tls-max", "1.2"),
    ("--ciphers", "AES128-CCM8:@SECLEVEL=0", "--tls-max", "1.2"),
]


@pytest.mark.parametrize("options", SUITES, ids=lambda options: options[1])
def test_curl_and_nginx_give_what_tshark_shows(options: tuple[str, ...], nginx: Nginx, tmp_path: Path) -> None:
    file, keylog = tmp_path / "calls.pcap", tmp_path / "keys"
    with recorded(file, nginx.port):
        curl(keylog, nginx.port, ["/one?a=b", "/two"], *options)
        curl(keylog, nginx.port, ["/three"], "-d", "x" * 40_000, *options)
    replayed = replay(file, keylog)
    assert targets(replayed.rows) == ["/one?a=b", "/two", "/three"]
    assert [quality(row) for row in replayed.rows] == [[], [], []]
    assert (replayed.count("connections"), replayed.count("decrypted")) == (2, 2)
    assert_as_tshark(replayed.rows, file, keylog)


def test_both_ends_of_python_saw_these_bytes_and_the_times_are_those_of_the_packets(tmp_path: Path) -> None:
    file, keylog = tmp_path / "calls.pcap", tmp_path / "keys"
    answer = b"HTTP/1.1 201 Made\r\nX-Big: " + b"y" * 9000 + b"\r\nx-big: again\r\nContent-Length: 3\r\n\r\nabc"
    with (
        Answering(tmp_path, lambda _: answer) as server,
        recorded(file, server.port),
        client(server.port, keylog) as conn,
    ):
        for number in range(3):
            # Records of any size: a head that comes in many, and two heads in one.
            head = f"PUT /{number} HTTP/1.1\r\nHost: h\r\nA-b: c{number}\r\n\r\n".encode()
            for byte in head if number == 1 else ():
                conn.sendall(bytes([byte]))
            if number != 1:
                conn.sendall(head)
            assert read_head(conn) == answer[:-3]
            assert conn.recv(3) == b"abc"
    replayed = replay(file, keylog)
    assert len(server.heads) == 3
    for row, head in zip(replayed.rows, server.heads, strict=True):
        start, *fields = head.decode().rstrip("\r\n").split("\r\n")
        assert f"{row['http']['request']['method']} {row['masthead']['target']} HTTP/1.1" == start
        assert joined(request_fields(row)) == fields
        assert row["masthead"]["request_head_bytes"] == len(head)
        assert row["masthead"]["response_head_bytes"] == len(answer) - 3
        assert row["http"]["response"]["body"]["size"] == 3
        assert quality(row) == []
        assert 0 < row["masthead"]["ttfb_ns"] <= row["masthead"]["duration_ns"]
    assert replayed.rows[1]["masthead"]["head_spread_ns"] > 0
    assert_as_tshark(replayed.rows, file, keylog)


def test_secrets_within_a_pcapng_file_need_no_option(nginx: Nginx, tmp_path: Path) -> None:
    file, keylog, whole = tmp_path / "calls.pcap", tmp_path / "keys", tmp_path / "whole.pcapng"
    with recorded(file, nginx.port):
        curl(keylog, nginx.port, ["/inside"])
    subprocess.run(["editcap", "--inject-secrets", f"tls,{keylog}", file, whole], check=True, timeout=60)
    assert targets(replay(whole).rows) == ["/inside"]
    assert_as_tshark(replay(whole).rows, whole, None)


Said = str | bytes
"""What is typed, and what is waited for."""


def s_client(port: int, keylog: Path, *options: str, say: Sequence[Said] = ()) -> bytes:
    """Talk to a server by `openssl s_client`; returns what it said."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-keylogfile", str(keylog), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        typed, heard = child.stdin, child.stdout
        assert typed is not None
        assert heard is not None
        words, since = Lines(heard), 0
        for each in say:
            if isinstance(each, bytes):
                since = words.wait(functools.partial(after, each, since), f"s_client hears {each!r}")
            else:
                typed.write(each.encode())
                typed.flush()
        typed.close()
        child.wait(60)
        return b"".join(words.finish())


def after(what: bytes, since: int, lines: list[bytes]) -> int:
    """The number of the line behind the next one with `what` in it; 0 while there is none."""
    return next((number for number, line in enumerate(lines[since:], since + 1) if what in line), 0)


def get(path: str, more: str = "") -> str:
    return f"GET {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n"


def test_key_updates_of_both_sides_are_followed(nginx: Nginx, tmp_path: Path) -> None:
    file, keylog = tmp_path / "calls.pcap", tmp_path / "keys"
    say: list[Said] = [
        b"Verify return code",
        get("/1"),
        b"this is /1",
        "K\n",
        b"KEYUPDATE",
        get("/2"),
        b"this is /2",
        "k\n",
        b"KEYUPDATE",
    ]
    say += [get("/3", "Connection: close\r\n"), b"this is /3"]
    with recorded(file, nginx.port):
        s_client(nginx.port, keylog, "-tls1_3", say=say)
    replayed = replay(file, keylog)
    assert targets(replayed.rows) == ["/1", "/2", "/3"]
    assert [quality(row) for row in replayed.rows] == [[], [], []]
    assert not replayed.count("lost:failed")


@pytest.mark.parametrize("nginx", ["secp384r1"], indirect=True)
def test_a_retried_hello_is_read(nginx: Nginx, tmp_path: Path) -> None:
    file, keylog = tmp_path / "calls.pcap", tmp_path / "keys"
    with recorded(file, nginx.port):
        curl(keylog, nginx.port, ["/again"], "--tlsv1.3", "--curves", "X25519:P-384")
    replayed = replay(file, keylog)
    assert targets(replayed.rows) == ["/again"]
    assert quality(replayed.rows[0]) == []


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumed_sessions_are_read(version: str, nginx: Nginx, tmp_path: Path) -> None:
    file, keylog, kept = tmp_path / "calls.pcap", tmp_path / "keys", tmp_path / "session"
    close = "Connection: close\r\n"
    with recorded(file, nginx.port):
        s_client(nginx.port, keylog, version, "-sess_out", str(kept), say=[get("/first", close), b"this is"])
        heard = s_client(nginx.port, keylog, version, "-sess_in", str(kept), say=[get("/second", close), b"this is"])
    assert b"Reused, TLSv1" in heard
    replayed = replay(file, keylog)
    assert targets(replayed.rows) == ["/first", "/second"]
    assert_as_tshark(replayed.rows, file, keylog)


@pytest.mark.parametrize("taken", [True, False])
def test_early_data_counts_where_the_server_took_it(taken: bool, nginx: Nginx, tmp_path: Path) -> None:  # noqa: FBT001
    file, keylog, kept, early = (tmp_path / name for name in ("calls.pcap", "keys", "session", "early"))
    early.write_bytes(get("/early").encode())
    close = "Connection: close\r\n"
    with recorded(file, nginx.port):
        s_client(nginx.port, keylog, "-tls1_3", "-sess_out", str(kept), say=[get("/first", close), b"this is"])
        # A server that asks for another hello takes no early data.
        more = [] if taken else ["-groups", "P-384:X25519"]
        say: list[Said] = [*([b"this is /early"] if taken else []), get("/late", close), b"this is /late"]
        heard = s_client(
            nginx.port, keylog, "-tls1_3", "-sess_in", str(kept), "-early_data", str(early), *more, say=say
        )
    assert (b"Early data was accepted" in heard) == taken
    replayed = replay(file, keylog)
    assert targets(replayed.rows) == ["/first", *(["/early"] if taken else []), "/late"]
    assert [quality(row) for row in replayed.rows] == [[]] * len(replayed.rows)
    assert (replayed.count("early_refused") > 0) == (not taken)


def test_padded_records_give_the_same(tmp_path: Path) -> None:
    file, keylog, port = tmp_path / "calls.pcap", tmp_path / "keys", free_port()
    made, key = certificate(tmp_path)
    server = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(made), "-key", str(key)]
    with running([*server, "-www", "-record_padding", "600"], tmp_path / "words"):
        wait_for(lambda: listening(port), "s_server listens")
        with recorded(file, port):
            heard = s_client(port, keylog, "-tls1_3", "-record_padding", "500", say=[get("/padded"), b"</HTML>"])
    replayed = replay(file, keylog)
    assert targets(replayed.rows) == ["/padded"]
    # The response is everything from its status line to the end of the connection.
    head = heard[heard.index(b"HTTP/1.0 200") :].replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
    assert joined(response_fields(replayed.rows[0])) == head.decode().split("\n")[1:]
    assert replayed.rows[0]["http"]["response"]["status_code"] == 200


def test_after_a_renegotiation_nothing_is_guessed(tmp_path: Path) -> None:
    file, keylog, port = tmp_path / "calls.pcap", tmp_path / "keys", free_port()
    made, key = certificate(tmp_path)
    server = ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(made), "-key", str(key)]
    with running([*server, "-client_renegotiation", "-tls1_2", "-quiet", "-HTTP"], tmp_path / "words"):
        wait_for(lambda: listening(port), "s_server listens")
        with recorded(file, port):
            s_client(port, keylog, "-tls1_2", say=[b"Verify return code", "R\n", b"RENEGOTIATING", get("/new")])
    replayed = replay(file, keylog)
    assert replayed.rows == []
    assert replayed.count("renegotiated") == 1


@pytest.fixture(scope="module")
def call(nginx: Nginx, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """One connection with three calls, and its key log."""
    directory = tmp_path_factory.mktemp("call")
    file, keylog = directory / "calls.pcap", directory / "keys"
    with recorded(file, nginx.port):
        curl(keylog, nginx.port, ["/a", "/b", "/c"])
    return file, keylog


def test_keys_of_another_connection_read_nothing_and_that_is_said(
    call: tuple[Path, Path], nginx: Nginx, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    curl(other, nginx.port, ["/x"])
    replayed = replay(call[0], other)
    assert replayed.rows == []
    assert "TLS: 0 of 1 connections could be read (1 without secrets in the key log or the file)" in replayed.said


def test_wrong_secrets_read_nothing_and_that_is_said(call: tuple[Path, Path], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    changed = [line.rsplit(" ", 1) for line in call[1].read_text().splitlines() if not line.startswith("#")]
    wrong.write_text("".join(f"{start} {secret[::-1]}\n" for start, secret in changed))
    replayed = replay(call[0], wrong)
    assert replayed.rows == []
    assert "TLS: 0 of 1 connections could be read (1 whose secrets open nothing)" in replayed.said


def test_a_malformed_line_is_told_by_its_number_and_never_shown(call: tuple[Path, Path], tmp_path: Path) -> None:
    log = tmp_path / "keys"
    good = call[1].read_text()
    secret = good.split()[-1]
    log.write_text(f"# comment\nCLIENT_RANDOM {'ab' * 32} {secret[:-1]}\n{good}CLIENT_RANDOM {secret}\nnonsense\n")
    replayed = replay(call[0], log)
    assert targets(replayed.rows) == ["/a", "/b", "/c"]
    assert f"{log} line 2: the secret is not" in replayed.said
    assert replayed.said.count(f"{log} line ") == 3
    assert secret[:20] not in replayed.said


def test_a_key_log_that_is_not_there_is_an_error(call: tuple[Path, Path], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "masthead", "replay", "--keylog", str(tmp_path / "none"), str(call[0])]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, b"")
    assert f"{tmp_path}/none".encode() in done.stderr


def test_no_cut_of_the_key_log_gives_a_wrong_value(call: tuple[Path, Path], tmp_path: Path) -> None:
    whole, log = call[1].read_bytes(), tmp_path / "keys"
    right = replay(*call).rows
    for end in range(0, len(whole), len(whole) // 12):
        log.write_bytes(whole[:end])
        rows = replay(call[0], log).rows
        for row in rows:
            full = next(each for each in right if each["masthead"]["exchange_id"] == row["masthead"]["exchange_id"])
            assert row == full or quality(row), row


def test_a_changed_byte_anywhere_gives_no_wrong_value(call: tuple[Path, Path], tmp_path: Path) -> None:
    """Every message is either as it was sent, or missing with a mark."""
    whole, file = call[0].read_bytes(), tmp_path / "changed.pcap"
    right = replay(*call).rows
    requests = {json.dumps(row["http"]["request"]["header"]) for row in right}
    responses = {json.dumps(row["http"]["response"]["header"]) for row in right}
    lost = 0
    for at in range(len(whole) // 3, len(whole), 61):
        changed = bytearray(whole)
        changed[at] ^= 0x20
        file.write_bytes(changed)
        replayed = replay(file, call[1])
        lost += replayed.count("lost:failed")
        for row in replayed.rows:
            http = row["http"]
            assert json.dumps(http.get("request", {}).get("header", [])) in {*requests, "[]"}
            assert json.dumps(http.get("response", {}).get("header", [])) in {*responses, "[]"}
            assert quality(row) or (http["request"].get("header") and http["response"].get("header")), row
    assert lost


def test_the_python_interface_takes_a_key_log(call: tuple[Path, Path]) -> None:
    import masthead  # noqa: PLC0415 - the extension may be missing, then the test does not run

    with masthead.replay(str(call[0]), keylog=str(call[1])) as batches:
        assert sum(batch.num_rows for batch in batches) == 3


def test_tls_1_1_and_suites_without_authentication_are_said_not_to_be_read(tmp_path: Path) -> None:
    file, keylog = tmp_path / "calls.pcap", tmp_path / "keys"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    ciphers, maximum = "ECDHE-ECDSA-AES128-SHA256", ssl.TLSVersion.TLSv1_2
    with (
        Answering(tmp_path, lambda _: answer, maximum=maximum, ciphers=ciphers) as server,
        recorded(file, server.port),
        client(server.port, keylog, ciphers=ciphers) as conn,
    ):
        conn.sendall(get("/cbc").encode())
        assert read_head(conn) == answer
    replayed = replay(file, keylog)
    assert replayed.rows == []
    assert "with a cipher suite that is not read (no AEAD)" in replayed.said
