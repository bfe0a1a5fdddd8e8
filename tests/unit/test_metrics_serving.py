"""The threads of metrics: one that serves within a bound, one that pushes and never holds up the end."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from masthead.config.metrics import Prometheus
from masthead.metrics import endpoint as serving
from masthead.metrics import otlp
from masthead.metrics.endpoint import Endpoint
from masthead.metrics.otlp import Push
from tests.e2e.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIEnvironment


def metrics(_: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"a 1\n"]


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(serving, "_WAIT_SECONDS", 0.05)
    made = Endpoint(Prometheus(listen="127.0.0.1:0"), metrics)
    yield made
    made.close()


def connect(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection(("127.0.0.1", endpoint.port), timeout=10)


def asked(connection: socket.socket) -> bytes:
    connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
    answer = b""
    while piece := connection.recv(65_536):
        answer += piece
    return answer


def test_a_client_that_takes_its_time_to_ask_is_left(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "_PATIENCE", 0.5)
    began = time.monotonic()
    with connect(endpoint) as slow:
        slow.sendall(b"GET /metrics HTTP/1.0\r\n")
        with pytest.raises(OSError, match=r"reset|pipe"):  # noqa: PT012 - one of these is refused
            while time.monotonic() - began < 10:
                slow.sendall(b"X-More: 1\r\n")
                time.sleep(0.1)
    assert time.monotonic() - began < 5


def test_connections_that_say_nothing_take_no_more_threads_than_there_are(endpoint: Endpoint) -> None:
    before = threading.active_count()
    with ExitStack() as stack:
        idle = [stack.enter_context(connect(endpoint)) for _ in range(30)]
        # Those beyond the bound are answered at once, unasked.
        answers = [connection.recv(65_536) for connection in idle[8:]]
        assert all(answer.startswith(b"HTTP/1.0 503 Service Unavailable\r\nRetry-After: 1\r\n") for answer in answers)
        assert threading.active_count() <= before + 8
        with connect(endpoint) as late:
            assert asked(late).startswith(b"HTTP/1.0 503 ")
    wait_for(lambda: _taken(endpoint).startswith(b"HTTP/1.0 200 OK"), "there is room again")


def _taken(endpoint: Endpoint) -> bytes:
    with connect(endpoint) as connection:
        return asked(connection)


class Writer:
    def write(self, families: object, now_ns: int) -> bytes:
        del families, now_ns
        return b""


class Registry:
    def collect(self) -> list[Any]:
        return []


def push(export: Any, said: list[str]) -> Push:
    writer: Any = Writer()
    return Push(Registry(), writer, export, seconds=0.01, tell=said.append)


def test_a_last_push_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp, "_LAST_SECONDS", 0.2)
    hangs, said = threading.Event(), list[str]()

    def export(_: bytes) -> str:
        hangs.wait(20)
        return ""

    pushing = push(export, said)
    began = time.monotonic()
    pushing.close()
    assert time.monotonic() - began < 5
    assert said == ["the last metrics may not have been pushed: no answer yet"]
    hangs.set()


def test_whatever_a_push_raises_is_told_and_the_next_one_is_made() -> None:
    said, pushed = list[str](), list[int]()

    def export(_: bytes) -> str:
        pushed.append(1)
        raise ValueError("out of range")

    pushing = push(export, said)
    wait_for(lambda: len(pushed) > 2, "three pushes")
    pushing.close()
    assert said == ["metrics could not be pushed: a defect: ValueError: out of range; trying again in 0.01 s"]
