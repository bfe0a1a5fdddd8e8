"""Servers and clients that speak TLS: each call is one row at each end that is watched, equal to what both ends saw."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.capture import ledgers, settings
from tests.e2e.processes import executable
from tests.e2e.rows import assert_row, quality, request_fields, response_fields, role, target, targets
from tests.e2e.servers import APPS, Server, Spec, serving
from tests.e2e.test_framing import get
from tests.e2e.test_servers import assert_process, assert_view, make_calls, sent_by
from tests.e2e.tls_servers import (
    GNUTLS_TLS,
    NGINX_TLS,
    SNI_LOGGER,
    TLS_SPECS,
    client_context,
    connect,
    make_certificate,
)
from tests.e2e.waiting import wait_for
from tests.e2e.wire import Head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.capture import Capture, Row

pytestmark = pytest.mark.e2e

BIG = 20_000_000


def config(directory: Path, tls: str = "") -> Path:
    """Put a configuration with this `[tls]` section into a new directory for masthead, and return the directory."""
    directory.mkdir(exist_ok=True)
    (directory / "masthead.toml").write_text(settings(directory, f"[tls]\n{tls}\n"))
    return directory


def started(spec: Spec, directory: Path) -> Iterator[Server]:
    if missing := spec.missing():
        pytest.skip(f"{missing} is not installed")
    directory.mkdir()
    with serving(spec, directory) as running:
        yield running


@pytest.fixture(params=TLS_SPECS, ids=lambda spec: spec.name)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    yield from started(request.param, tmp_path / "server")


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Server]:
    yield from started(NGINX_TLS, tmp_path / "server")


@pytest.fixture
def both(capture_with: Callable[..., Capture], tmp_path: Path) -> Capture:
    """`masthead run` that watches this process too, although it does not listen."""
    own = Path(executable(os.getpid())).name
    return capture_with(directory=config(tmp_path / "both", f'processes = ["{own}"]'))


def assert_tls(row: Row, server: Server, port: int) -> None:
    """Fail unless the row is of the source `tls`, between these ends."""
    assert row["masthead"]["source"] == "tls"
    assert row["server"] == {"address": "127.0.0.1", "port": server.port}
    assert row["client"] == {"address": "127.0.0.1", "port": port}


def assert_both_saw(
    rows: list[Row], server: Server, port: int, heads: list[tuple[Head, Head]], files: dict[int, str]
) -> list[Row]:
    """Fail unless this process, a client on this port, and the server have a row for each call; return the server's."""
    served, called = role(rows, "server"), role(rows, "client")
    assert len(served) == len(called) == len(heads)
    for mine, theirs, (request_head, response_head) in zip(called, served, heads, strict=True):
        for row in (mine, theirs):
            assert_row(row, request_head, response_head)
            assert_tls(row, server, port)
        assert_process(mine, {os.getpid(): executable(os.getpid())})
        assert_process(theirs, files)
    return served


def test_each_call_is_one_row_at_each_end_equal_to_what_both_saw(server: Server, both: Capture) -> None:
    with connect(server) as client:
        port = client.port
        heads = make_calls(client, server)
    views = server.views(len(heads)) if server.record.exists() else []
    files = server.executables()
    served = assert_both_saw(both.finish(server.port), server, port, heads, files)
    for row, view in zip(served, views, strict=bool(views)):
        assert_view(row, view)


def test_pipelined_requests_are_told_apart(nginx: Server, both: Capture) -> None:
    wanted = [f"/orders/{number}" for number in range(50)]
    with connect(nginx) as client:
        client.send(b"".join(map(get, wanted)))
        for _ in wanted:
            assert client.response().head.status == 200
    rows = both.finish(nginx.port)
    for end in ("server", "client"):
        assert targets(role(rows, end)) == wanted
        assert [quality(row) for row in role(rows, end)] == [[]] * len(wanted)


def test_a_large_download_is_counted_and_not_copied(nginx: Server, both: Capture, tmp_path: Path) -> None:
    files = tmp_path / "server" / "files"
    files.mkdir()
    (files / "big").write_bytes(os.urandom(BIG))
    with connect(nginx) as client:
        assert len(client.call(get("/files/big")).rest) == BIG
        client.call(get("/orders/after"))
    rows = both.finish(nginx.port)
    for end in ("server", "client"):
        big, after = role(rows, end)
        assert big["http"]["response"]["body"]["size"] == BIG
        assert targets([after]) == ["/orders/after"]
        assert quality(big) == quality(after) == []
    assert both.ledger is not None
    assert both.ledger.get("notes.gaps", 0) == 0


def test_a_large_upload_is_counted(server: Server, both: Capture) -> None:
    if server.spec.name in {"caddy", "haproxy"}:
        pytest.skip("it answers without reading the content")
    size = 900_000
    head = f"POST /orders/up HTTP/1.1\r\nHost: h\r\nContent-Length: {size}\r\n\r\n".encode()
    with connect(server) as client:
        client.send(head + os.urandom(size))
        status = client.response("POST").head.status
    for end in ("server", "client"):
        (row,) = role(both_rows(both, server), end)
        assert row["http"]["request"]["body"]["size"] == size
        assert row["http"]["response"]["status_code"] == status
        assert quality(row) == []


def both_rows(capture: Capture, server: Server) -> list[Row]:
    """Return the rows of a run, which is ended the first time."""
    if not hasattr(capture, "kept"):
        capture.kept = capture.finish(server.port)  # type: ignore[attr-defined]
    rows: list[Row] = capture.kept  # type: ignore[attr-defined]
    return rows


def test_a_connection_that_was_there_before_is_joined_between_two_calls(
    server: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    with connect(server) as client:
        client.call(get("/orders/before"))
        capture = capture_with(directory=config(tmp_path / "late"))
        for number in range(4):
            client.call(get(f"/orders/{number}"))
            # net/http reads one byte alone where the next request comes at once, and that is no sure beginning.
            sleep(0.01)
        port = client.port
    rows = role(capture.finish(None), "server")
    mine = [row for row in rows if row["masthead"]["source"] == "tls"]
    # What was read of the first request could be the middle of anything: only its response is certain.
    # Who was already waiting inside a call is seen from the next one.
    ours = [row for row in mine if row["server"].get("port", server.port) == server.port]
    first, rest = ours[:-3], ours[-3:]
    assert [quality(row) for row in first] in ([], [["joined", "no_request"]])
    assert targets(rest) == [f"/orders/{number}" for number in range(1, 4)]
    for row in rest:
        assert quality(row) == []
        assert_tls(row, server, port)
    # Where bytes are handed over in memory the socket may not be certain yet: no address, rather than a wrong one.
    assert all(row["client"] in ({}, {"address": "127.0.0.1", "port": port}) for row in first)


def test_a_server_that_starts_later_is_seen_from_its_first_call(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    capture = capture_with(directory=config(tmp_path / "early"))
    with contextmanager(started)(NGINX_TLS, tmp_path / "server") as server:
        again_until_seen(capture, server, lambda: one_call(server, "/orders/first"))
        one_call(server, "/orders/second")
        rows = role(capture.finish(server.port), "server")
    # Probes may come in the middle of a connection: then its first row says so.
    assert targets(rows[-1:]) == ["/orders/second"]
    assert quality(rows[-1]) == []
    assert all(quality(row) in ([], ["joined", "no_request"]) for row in rows)


def one_call(server: Server, path: str) -> None:
    """Connect, call once, and end."""
    with connect(server) as client:
        client.call(get(path))


def again_until_seen(capture: Capture, server: Server, call: Callable[[], object], end: str = "server") -> None:
    """Call until a whole row comes: it takes some milliseconds to put probes into a process that has just begun."""

    known = [0]

    def seen() -> bool:
        call()
        try:
            rows = capture.wait_rows(server.port, known[0] + 1, end, 1)
        except AssertionError:
            return False
        # Where the probes came in the middle of the connection, again.
        known[0] = len(rows)
        return quality(rows[-1]) == []

    wait_for(seen, f"a call to port {server.port} is seen")


def test_curl_is_seen_as_the_client(nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    capture = capture_with(directory=config(tmp_path / "curl", 'processes = ["curl"]'))
    url = f"https://127.0.0.1:{nginx.port}/orders/3?from=curl"
    options = ["-svk", "--http1.1", "-H", "X-Tenant: acme", "-D", str(tmp_path / "received"), "-o", os.devnull]
    words: dict[int, bytes] = {}

    def call() -> None:
        with subprocess.Popen([curl, *options, url], stderr=subprocess.PIPE) as child:
            _, words[child.pid] = child.communicate(timeout=20)
        assert child.returncode == 0, words

    again_until_seen(capture, nginx, call, "client")
    rows = capture.finish(nginx.port)
    called, served = role(rows, "client")[-1], role(rows, "server")[-1]
    request, response = Head(sent_by(words[called["process"]["pid"]])), Head((tmp_path / "received").read_bytes())
    for row in (served, called):
        assert_row(row, request, response)
    assert_process(called, dict.fromkeys(words, str(Path(curl).resolve())))


def ask(child: subprocess.Popen[bytes]) -> None:
    """Let a program that calls at each line call once."""
    assert child.stdin
    assert child.stdout
    child.stdin.write(b"\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"200\n"


def test_a_process_that_executes_itself_is_seen_on(
    nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    name = Path(executable(os.getpid())).name
    capture = capture_with(directory=config(tmp_path / "again", f'listening = false\nprocesses = ["{name}"]'))
    command = [sys.executable, str(APPS / "executes_itself.py"), str(nginx.port), "0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        again_until_seen(capture, nginx, partial(ask, child), "client")
        for _ in range(5):
            ask(child)
        child.communicate()
    rows = role(capture.finish(nginx.port), "client")
    numbers = [int(target(row).rsplit("/", 1)[1]) for row in rows if quality(row) == []]
    assert len(numbers) > 5
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


@pytest.mark.parametrize("library", ["gnutls", "nss"])
def test_libcurl_with_another_library_is_seen_as_the_client(
    nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path, library: str
) -> None:
    command = [sys.executable, str(APPS / "libcurl.py"), f"libcurl-{library}.so.4"]
    command += [f"https://127.0.0.1:{nginx.port}/orders/{number}" for number in (1, 2)]
    name = Path(executable(os.getpid())).name
    capture = capture_with(directory=config(tmp_path / "curl", f'processes = ["{name}"]'))

    def call() -> None:
        done = subprocess.run(command, check=False, timeout=20, capture_output=True, text=True)
        if "cannot open shared object" in done.stderr:
            pytest.skip(f"libcurl3-{library} is not installed")
        assert done.returncode == 0, done.stderr

    again_until_seen(capture, nginx, call, "client")
    rows = capture.finish(nginx.port)
    last = rows[-1]["client"]
    called, served = (role([row for row in rows if row["client"] == last], end) for end in ("client", "server"))
    assert targets(called) == targets(served) == ["/orders/1", "/orders/2"]
    for mine, theirs in zip(called, served, strict=True):
        assert request_fields(mine) == request_fields(theirs)
        assert response_fields(mine) == response_fields(theirs)
        assert mine["masthead"]["tls_library"] == library
        assert quality(mine) == quality(theirs) == []


def test_gnutls_is_seen_at_the_client(nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path) -> None:
    wget = shutil.which("wget")
    if wget is None:
        pytest.skip("wget is not installed")
    capture = capture_with(directory=config(tmp_path / "wget", 'processes = ["wget"]'))
    url = f"https://127.0.0.1:{nginx.port}/orders/3"
    command = [wget, "-q", "--no-check-certificate", "-O", os.devnull, url]
    again_until_seen(capture, nginx, lambda: subprocess.run(command, check=True, timeout=20), "client")
    rows = capture.finish(nginx.port)
    called, served = role(rows, "client")[-1], role(rows, "server")[-1]
    assert request_fields(called) == request_fields(served)
    assert response_fields(called) == response_fields(served)
    assert quality(called) == quality(served) == []


def test_gnutls_is_seen_at_the_server_and_its_content_ends_with_the_connection(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    with contextmanager(started)(GNUTLS_TLS, tmp_path / "server") as server:
        capture = capture_with(directory=config(tmp_path / "gnutls"))
        with connect(server) as client:
            client.send(get("/orders/7"))
            response = client.response()
            port = client.port
        (row,) = role(capture.finish(server.port), "server")
    assert_row(row, Head(get("/orders/7")), response.head)
    assert row["http"]["response"]["body"]["size"] == len(response.rest)
    assert_tls(row, server, port)


def test_a_socket_that_a_callback_uses_is_never_taken_for_the_connections(
    capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    with contextmanager(started)(SNI_LOGGER, tmp_path / "server") as server:
        capture = capture_with(directory=config(tmp_path / "callback"))
        ports = []
        for number in range(3):
            with connect(server) as client:
                ports.append(client.port)
                for call in range(3):
                    client.call(get(f"/orders/{number}/{call}"))
        rows = [row for row in role(capture.finish(None), "server") if row["masthead"]["source"] == "tls"]
    mine = sorted(rows, key=target)
    assert targets(mine) == [f"/orders/{number}/{call}" for number in range(3) for call in range(3)]
    for at, row in enumerate(mine):
        right = {"address": "127.0.0.1", "port": ports[at // 3]}, {"address": "127.0.0.1", "port": server.port}
        assert (row["client"], row["server"]) in (({}, {}), right)


@pytest.mark.parametrize("name", ["nginx", "apache", "haproxy", "http.server", "uvicorn", "node", "go"])
def test_one_short_exchange_has_its_addresses(name: str, both: Capture, tmp_path: Path) -> None:
    spec = next(spec for spec in TLS_SPECS if spec.name == name)
    with contextmanager(started)(spec, tmp_path / "server") as server:
        # Somebody else's call: until then the probes may not be there.
        again_until_seen(both, server, lambda: one_call(server, "/orders/early"))
        with connect(server) as client:
            port = client.port
            client.call(get("/orders/only", "Connection: close\r\n"))
        rows = [row for row in both.finish(server.port) if targets([row]) == ["/orders/only"]]
    for end in ("server", "client"):
        (row,) = role(rows, end)
        assert_tls(row, server, port)


def test_a_websocket_is_one_row_with_its_bytes(both: Capture, tmp_path: Path) -> None:
    server = pytest.importorskip("websockets.sync.server")
    client = pytest.importorskip("websockets.sync.client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(tmp_path))
    message = "GET /not/a/request HTTP/1.1\r\n\r\n" * 100
    with server.serve(echo_message, "127.0.0.1", 0, ssl=context, compression=None) as listening:
        port = listening.socket.getsockname()[1]
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        url = f"wss://127.0.0.1:{port}/chat"
        with client.connect(url, ssl=client_context(), compression=None, proxy=None) as connection:
            connection.send(message)
            assert connection.recv() == message
        listening.shutdown()
        thread.join()
    rows = both.finish(port)
    for end in ("server", "client"):
        (row,) = role(rows, end)
        assert targets([row]) == ["/chat"]
        assert row["http"]["response"]["status_code"] == 101
        # What both sent: the message with its frame's header (and mask), and a close frame.
        assert row["http"]["request"]["body"]["size"] in range(len(message) + 8, len(message) + 40)
        assert row["http"]["response"]["body"]["size"] in range(len(message) + 4, len(message) + 40)


def echo_message(connection: Any) -> None:
    """Send every message back."""
    for message in connection:
        connection.send(message)


def test_a_process_that_is_killed_ends_its_sessions(capture_with: Callable[..., Capture], tmp_path: Path) -> None:
    python = next(spec for spec in TLS_SPECS if spec.name == "http.server")
    capture = capture_with(directory=config(tmp_path / "killed"))
    with contextmanager(started)(python, tmp_path / "server") as server:
        again_until_seen(capture, server, lambda: one_call(server, "/orders/1"))
        seen = len(capture.wait_rows(server.port, 1))
        with connect(server) as client:
            client.send(b"POST /orders/2 HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nfour")
            wait_for(lambda: rows_open(capture), "the request is open")
            os.kill(server.pid, signal.SIGKILL)
            row = capture.wait_rows(server.port, seen + 1)[-1]
    assert targets([row]) == ["/orders/2"]
    assert "no_response" in quality(row)


def rows_open(capture: Capture) -> bool:
    """Ask for the account, and say whether an exchange is open."""
    capture.send(signal.SIGUSR1)
    accounts = ledgers(capture.words.text())
    return bool(accounts) and accounts[-1][0].get("rows.open", 0) > 0


def test_processes_that_end_soon_are_not_looked_for(capture_with: Callable[..., Capture], tmp_path: Path) -> None:
    capture = capture_with(directory=config(tmp_path / "short"))
    before, began = processor_seconds(capture.child.pid), monotonic()
    for _ in range(12):
        subprocess.run(["sleep", "0.02"], check=True, timeout=20)
        sleep(0.2)
    # Nobody calls: looking for who is gone, again and again, would take a whole processor.
    assert processor_seconds(capture.child.pid) - before < (monotonic() - began) / 2
    capture.finish(None)


def processor_seconds(pid: int) -> float:
    """Return the processor time of a process's threads, in seconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 10**9


def test_no_probe_is_put_where_tls_is_turned_off(
    nginx: Server, capture_with: Callable[..., Capture], tmp_path: Path
) -> None:
    capture = capture_with(directory=config(tmp_path / "off", "enabled = false"))
    with connect(nginx) as client:
        client.call(get("/orders/1"))
    assert capture.finish(nginx.port) == []
    assert wait_for(lambda: capture.ledger, "the ledger").get("notes.tls_traps", 0) == 0
