"""Faults that a real server does not produce on demand: refusals for now, partial ones, slow answers, nonsense."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from masthead.commands.sending import open_sinks
from masthead.config import Config
from tests.e2e.waiting import wait_for
from tests.sinks.rows import made
from tests.unit.stored import BEGIN_NS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from masthead.delivery import Delivery

pytestmark = pytest.mark.sinks

ROWS = 1_000
Answer = tuple[int, dict[str, str], bytes]


class Faulty(ThreadingHTTPServer):
    """Answers with the faults that it is given, one after another, and then as it should."""

    daemon_threads = True

    def __init__(self, good: Callable[[bytes], Answer], ids: Callable[[bytes], list[str]]) -> None:
        self.faults: list[Callable[[bytes], Answer | None]] = []
        self.taken: list[str] = []
        self.good, self.ids = good, ids
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: Faulty
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self.server.lock:
            answer = self.server.faults.pop(0)(body) if self.server.faults else None
            if answer is None:
                self.server.taken += self.server.ids(body)
                answer = self.server.good(body)
        status, headers, content = answer
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


def bulk_answer(body: bytes) -> Answer:
    items = [{"create": {"status": 201}} for _ in bulk_ids(body)]
    return 200, {}, json.dumps({"errors": False, "items": items}).encode()


def bulk_ids(body: bytes) -> list[str]:
    return [json.loads(line)["create"]["_id"] for line in body.splitlines()[::2]]


def line_ids(body: bytes) -> list[str]:
    return [json.loads(line)["masthead"]["exchange_id"] for line in body.splitlines()]


def loki_ids(body: bytes) -> list[str]:
    lines = (value[1] for stream in json.loads(body)["streams"] for value in stream["values"])
    return [json.loads(line)["masthead"]["exchange_id"] for line in lines]


KINDS: dict[str, tuple[Callable[[bytes], Answer], Callable[[bytes], list[str]]]] = {
    "webhook": (lambda _: (200, {}, b""), line_ids),
    "loki": (lambda _: (204, {}, b""), loki_ids),
    "elasticsearch": (bulk_answer, bulk_ids),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("masthead.delivery.backoff.FIRST", 0.01)


@pytest.fixture(params=KINDS)
def faulty(request: pytest.FixtureRequest, impatient: None) -> Iterator[tuple[str, Faulty]]:  # noqa: ARG001 - a setting
    server = Faulty(*KINDS[request.param])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield request.param, server
    server.shutdown()
    thread.join()
    server.server_close()


def opened(kind: str, server: Faulty, tmp_path: Path, **more: Any) -> Delivery:
    url = f"http://127.0.0.1:{server.server_port}"
    table = {"kind": kind, "url": url, "batch_rows": 250, "batch_seconds": 0.05, **more}
    config = Config.model_validate({"sink": [table], "delivery": {"spool": str(tmp_path / "spool")}})
    (sink,) = open_sinks(config)
    return sink


def send(sink: Delivery) -> None:
    for batch in made(ROWS, BEGIN_NS):
        for first in range(0, batch.num_rows, 250):
            assert sink.write(batch.slice(first, 250)) == 0


def test_a_server_that_is_busy_gets_every_row_later(faulty: tuple[str, Faulty], tmp_path: Path) -> None:
    kind, server = faulty
    busy = [(429, {"retry-after": "0"}), (503, {}), (500, {}), (502, {}), (408, {}), (401, {}), (404, {})]
    server.faults = [lambda _, answer=(*each, b"busy"): answer for each in busy]  # type: ignore[misc]
    sink = opened(kind, server, tmp_path)
    send(sink)
    wait_for(lambda: sink.account.waiting == 0, "all is sent")
    sink.close()
    assert sorted(server.taken) == sorted(f"r-{number}" for number in range(ROWS))
    assert (sink.account.sent, sink.account.failures) == (ROWS, len(busy))


def test_a_server_that_is_too_slow_is_given_up_on_and_tried_again(faulty: tuple[str, Faulty], tmp_path: Path) -> None:
    kind, server = faulty
    late = threading.Event()

    def slow(_: bytes) -> Answer:
        late.wait(3)
        return 500, {}, b""

    server.faults = [slow]
    sink = opened(kind, server, tmp_path, timeout_seconds=0.3)
    send(sink)
    wait_for(lambda: sink.account.failures > 0, "it was given up on")
    late.set()
    wait_for(lambda: sink.account.waiting == 0, "all is sent")
    sink.close()
    assert set(server.taken) == {f"r-{number}" for number in range(ROWS)}
    assert sink.account.sent == ROWS


def test_a_load_that_is_too_large_goes_in_smaller_ones(faulty: tuple[str, Faulty], tmp_path: Path) -> None:
    kind, server = faulty

    def small(body: bytes) -> Answer | None:
        return (413, {}, b"too large") if len(server.ids(body)) > 40 else None

    server.faults = [small] * 1_000
    sink = opened(kind, server, tmp_path)
    send(sink)
    wait_for(lambda: sink.account.waiting == 0, "all is sent")
    sink.close()
    assert sorted(server.taken) == sorted(f"r-{number}" for number in range(ROWS))


def test_rows_that_a_bulk_refuses_are_told_from_those_that_come_again(tmp_path: Path, impatient: None) -> None:
    del impatient
    server = Faulty(bulk_answer, bulk_ids)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def partial(body: bytes) -> Answer:
        items = []
        for number, name in enumerate(bulk_ids(body)):
            if number % 10 == 0:
                error = {"type": "es_rejected_execution_exception", "reason": "queue full"}
                items.append({"create": {"status": 429, "error": error}})
            elif number % 10 == 1:
                error = {"type": "document_parsing_exception", "reason": "failed to parse"}
                items.append({"create": {"status": 400, "error": error}})
            elif number % 10 == 2:
                items.append({"create": {"status": 409, "error": {"type": "version_conflict_engine_exception"}}})
            else:
                server.taken.append(name)
                items.append({"create": {"status": 201}})
        return 200, {}, json.dumps({"errors": True, "items": items}).encode()

    server.faults = [partial, lambda _: (200, {}, b"<html>"), lambda _: (200, {}, b'{"errors": true, "items": []}')]
    sink = opened("elasticsearch", server, tmp_path)
    send(sink)
    wait_for(lambda: sink.account.waiting == 0, "all is settled")
    sink.close()
    server.shutdown()
    server.server_close()
    # Of the first 250: 25 came again, 25 never will, 25 were there already.
    assert sink.account.refused == 25
    assert sink.account.sent == ROWS - 25
    assert len(server.taken) == len(set(server.taken)) == ROWS - 50


def test_one_sink_that_is_stuck_holds_no_other_up(tmp_path: Path, impatient: None) -> None:
    del impatient
    stuck, quick = threading.Event(), Faulty(*KINDS["webhook"])
    slow = Faulty(*KINDS["webhook"])

    def wait(_: bytes) -> Answer:
        stuck.wait(20)
        return 200, {}, b""

    slow.faults = [wait] * 100
    for server in (slow, quick):
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    sinks = [opened("webhook", server, tmp_path / str(number)) for number, server in enumerate((slow, quick))]
    for sink in sinks:
        send(sink)
    wait_for(lambda: sinks[1].account.sent == ROWS, "the other has all")
    assert sinks[0].account.sent == 0
    stuck.set()
    for sink in sinks:
        sink.close()
    for server in (slow, quick):
        server.shutdown()
        server.server_close()
