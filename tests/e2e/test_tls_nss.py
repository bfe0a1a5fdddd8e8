"""NSS: sessions are descriptors of NSPR's, whose functions move the bytes of files and plain sockets too."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.capture import ledgers
from tests.e2e.processes import executable
from tests.e2e.rows import assert_row, quality, role, targets
from tests.e2e.servers import APPS, Server, Spec
from tests.e2e.test_framing import get
from tests.e2e.test_servers import assert_process, assert_view, make_calls
from tests.e2e.test_tls import assert_both_saw, assert_tls, config, started
from tests.e2e.tls_servers import NGINX_TLS, client_context, make_certificate
from tests.e2e.waiting import wait_for
from tests.e2e.wire import Conn, Head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from tests.e2e.capture import Capture

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("pk12util") is None, reason="libnss3-tools is not installed"),
]

NICKNAME = "masthead"
PASSWORD = "secret"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n"


def make_database(directory: Path, password: str = "") -> Path:
    """Make a certificate and a key, in a database as NSS wants them, with this password."""
    certificate, key = make_certificate(directory)
    bundle, database, secret = directory / "both.p12", directory / "database", directory / "password"
    database.mkdir()
    secret.write_text(password + "\n")
    words = ["-passout", "pass:", "-name", NICKNAME, "-out", str(bundle)]
    for command in (
        ["openssl", "pkcs12", "-export", "-in", str(certificate), "-inkey", str(key), *words],
        ["certutil", "-N", "-d", f"sql:{database}", "-f", str(secret)],
        ["pk12util", "-i", str(bundle), "-d", f"sql:{database}", "-W", "", "-k", str(secret)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    return database


def _recorder(directory: Path, port: int) -> list[str]:
    database = make_database(directory)
    record = directory / "record"
    return [sys.executable, str(APPS / "nss_recorder.py"), str(port), str(record), str(database), NICKNAME]


def _selfserv(directory: Path, port: int) -> list[str]:
    database = make_database(directory, PASSWORD)
    os.mkfifo(directory / "asked")
    return ["selfserv", "-n", NICKNAME, "-p", str(port), "-d", f"sql:{database}", "-f", str(directory / "asked")]


RECORDER = Spec("nss", ("certutil", "openssl"), _recorder)
SELFSERV = Spec("selfserv", ("selfserv", "openssl"), _selfserv)


@pytest.fixture(scope="module")
def nss(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """NSS in this process, as a server too."""
    from tests.e2e.apps import nss as binding  # noqa: PLC0415 - it loads the libraries

    binding.own = binding.Server(make_database(tmp_path_factory.mktemp("nss")), NICKNAME)  # type: ignore[attr-defined]
    return binding


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield from started(RECORDER, tmp_path / "server")


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Server]:
    yield from started(NGINX_TLS, tmp_path / "server")


@pytest.fixture
def both(nss: ModuleType, capture_with: Callable[..., Capture], tmp_path: Path) -> Capture:
    """`masthead run` that watches this process too."""
    assert nss.own
    own = Path(executable(os.getpid())).name
    return capture_with(directory=config(tmp_path / "both", f'processes = ["{own}"]'))


def connect(nss: ModuleType, port: int) -> Conn:
    """Connect by TLS."""
    conn = Conn.connect("127.0.0.1", port)
    conn.sock = nss.client(conn.sock)
    return conn


def inside_tls(rows: list[Any], end: str, pid: int) -> list[Any]:
    """Keep what a process said inside TLS."""
    mine = [row for row in role(rows, end) if row["masthead"]["source"] == "tls"]
    return [row for row in mine if row["process"]["pid"] == pid]


def test_each_call_is_one_row_at_each_end_equal_to_what_both_saw(
    server: Server, nss: ModuleType, both: Capture
) -> None:
    with connect(nss, server.port) as client:
        port = client.port
        heads = make_calls(client, server)
    views = server.views(len(heads))
    files = server.executables()
    rows = both.finish(server.port)
    served = assert_both_saw(rows, server, port, heads, files)
    for row, view in zip(served, views, strict=True):
        assert_view(row, view)
    assert {row["masthead"]["tls_library"] for row in rows} == {"nss"}


def test_a_program_that_reads_its_input_by_nspr_is_seen_for_what_it_sends(
    nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    capture = capture_with(directory=config(tmp_path / "tstclnt", 'listening = false\nprocesses = ["tstclnt"]'))
    database = make_database(tmp_path)
    command = ["tstclnt", "-h", "127.0.0.1", "-p", str(nginx.port), "-d", f"sql:{database}", "-o"]
    # A file: it would wait for ever for the end of a pipe.
    request = tmp_path / "request"
    request.write_bytes(get("/orders/7").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))

    with request.open("rb") as text, subprocess.Popen(command, stdin=text, stdout=subprocess.PIPE) as child:
        # It has just been executed and waits until the probes are there: it lives for milliseconds.
        child.send_signal(signal.SIGSTOP)
        try:
            wait_for(lambda: watched(capture), "tstclnt is watched")
        finally:
            child.send_signal(signal.SIGCONT)
        answer, _ = child.communicate(timeout=20)
    rows = capture.finish(None)
    (called,) = inside_tls(rows, "client", child.pid)
    assert_row(called, Head(request.read_bytes()), Head(answer.split(b"\r\n\r\n")[0] + b"\r\n\r\n"))
    assert_process(called, {child.pid: "/usr/bin/tstclnt"})


def test_what_is_written_by_vectors_is_lost_and_counted(capture_with: Callable[..., Capture], tmp_path: Path) -> None:
    capture = capture_with(directory=config(tmp_path / "capture", 'listening = false\nprocesses = ["selfserv"]'))
    directory = tmp_path / "server"

    def unlock() -> None:
        # It imports its listener right after it has read the password: the probes are there by then.
        wait_for(lambda: watched(capture), "selfserv is watched")
        (directory / "asked").write_text(PASSWORD)

    thread = threading.Thread(target=unlock)
    thread.start()
    for server in started(SELFSERV, directory):
        with Conn.connect("127.0.0.1", server.port) as client:
            client.sock = client_context().wrap_socket(client.sock)
            client.send(get("/orders/7"))
            client.response()
            port = client.port
        rows = capture.finish(None)
        mine = inside_tls(rows, "server", server.pid)
        assert len(mine) == 1, (rows, capture.ledger)
        (row,) = mine
        assert_tls(row, server, port)
    thread.join(20)
    assert targets([row]) == ["/orders/7"]
    assert "no_response" in quality(row)
    assert capture.ledger is not None
    assert capture.ledger["notes.tls_sessions_restarted"] > 0


def watched(capture: Capture) -> bool:
    """Ask for the account, and say whether a process is watched."""
    capture.send(signal.SIGUSR1)
    accounts = ledgers(capture.words.text())
    return bool(accounts) and accounts[-1][0].get("notes.tls_processes", 0) > 0


def serve(nss: ModuleType, descriptor: int, calls: int, received: list[bytes]) -> None:
    """Accept one connection on a descriptor that NSS has imported; look at each head before it is read, and answer."""
    accepted = nss.NSPR.PR_Accept(descriptor, None, nss.patience())
    nss.need(bool(accepted), "PR_Accept")
    conn = nss.NssSocket(accepted, by_socket_calls=True)
    for _ in range(calls):
        peeked = conn.recv(65536, nss.PEEK)
        assert conn.recv(65536) == peeked
        received.append(peeked)
        conn.sendall(ANSWER)
    conn.close()


def test_an_accepted_connection_is_a_session_and_what_is_peeked_at_counts_once(nss: ModuleType, both: Capture) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    descriptor = nss.own.imported(listener)
    wanted = [f"/orders/{number}" for number in range(5)]
    received: list[bytes] = []
    thread = threading.Thread(target=serve, args=(nss, descriptor, len(wanted), received))
    thread.start()
    with Conn.connect("127.0.0.1", port) as client:
        client.sock = client_context().wrap_socket(client.sock)
        for path in wanted:
            assert client.call(get(path)).rest == b"ok\n"
    thread.join(20)
    nss.NSPR.PR_Close(descriptor)
    rows = role(both.finish(port), "server")
    assert received == [get(path) for path in wanted]
    assert targets(rows) == wanted
    for row in rows:
        assert quality(row) == []
        assert row["masthead"]["tls_library"] == "nss"


def test_a_descriptor_that_speaks_in_clear_first_is_a_session_from_its_handshake_on(
    nginx: Server, nss: ModuleType, both: Capture
) -> None:
    proxy = socket.create_server(("127.0.0.1", 0))
    port = proxy.getsockname()[1]
    thread = threading.Thread(target=relay, args=(proxy, nginx.port))
    thread.start()
    conn = Conn.connect("127.0.0.1", port)
    conn.sock = nss.client(conn.sock, clear=True)
    conn.send(f"CONNECT 127.0.0.1:{nginx.port} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    assert conn.until().startswith(b"HTTP/1.1 200")
    nss.begin_tls(conn.sock)
    conn.call(get("/orders/1"))
    conn.call(get("/orders/2"))
    conn.close()
    thread.join(20)
    rows = inside_tls(both.finish(None), "client", os.getpid())
    assert targets(rows) == ["/orders/1", "/orders/2"]
    assert [quality(row) for row in rows] == [[], []]


def relay(proxy: socket.socket, port: int) -> None:
    """Answer one CONNECT and pass bytes on until the client ends."""
    near, _ = proxy.accept()
    Conn(near).until()
    far = socket.create_connection(("127.0.0.1", port))
    near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    there = threading.Thread(target=pass_on, args=(near, far))
    there.start()
    pass_on(far, near)
    there.join()
    for sock in (near, far, proxy):
        sock.close()


def pass_on(source: socket.socket, to: socket.socket) -> None:
    """Copy one direction to its end."""
    source.settimeout(None)
    while data := source.recv(65536):
        to.sendall(data)
    to.shutdown(socket.SHUT_WR)


def test_a_descriptor_of_before_and_a_file_are_not_seen(
    nginx: Server, nss: ModuleType, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    own = Path(executable(os.getpid())).name
    text = tmp_path / "request.txt"
    text.write_bytes(get("/orders/file"))
    with connect(nss, nginx.port) as client:
        client.call(get("/orders/before"))
        capture = capture_with(directory=config(tmp_path / "late", f'processes = ["{own}"]'))
        client.call(get("/orders/1"))
        file = nss.NssSocket(nss.NSPR.PR_Open(str(text).encode(), 1, 0))
        assert file.recv(1000) == get("/orders/file")
        file.close()
    rows = capture.finish(None)
    assert inside_tls(rows, "client", os.getpid()) == []
    assert capture.ledger is not None
    assert capture.ledger.get("notes.tls_returns_unmatched", 0) == 0
