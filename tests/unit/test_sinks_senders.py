"""What each sink makes of answers that a real server rarely gives: fakes for faults, nothing else."""

from __future__ import annotations

import errno
import gzip
import json
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from masthead._native import concat
from masthead.clickhouse.client import DatabaseError
from masthead.clickhouse.sender import Sender as ClickhouseSender
from masthead.config.sinks import Kafka
from masthead.delivery import Again, Load, Outcome, Refused, Sent, TooLarge
from masthead.delivery.http import Credentials, Http
from masthead.errors import ConfigError
from masthead.sinks import kafka
from masthead.sinks.elasticsearch import ElasticsearchSender
from masthead.sinks.loki import LokiSender
from masthead.sinks.otlp import OtlpSender
from masthead.sinks.syslog import SyslogSender
from tests.unit.stored import batches, call, pairs
from tests.unit.test_delivery_http import Answering, http, serving
from tests.unit.test_delivery_spool import some

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def load(first: int = 0, rows: int = 10, token: str = "t-1") -> Load:
    return Load(concat([some(at, min(500, first + rows - at)) for at in range(first, first + rows, 500)]), token)


class TestElasticsearch:
    @pytest.mark.parametrize(
        ("status", "again", "refused"),
        [(201, 0, 0), (409, 0, 0), (400, 0, 2), (422, 0, 2), (403, 2, 0), (404, 2, 0), (429, 2, 0), (503, 2, 0)],
    )
    def test_the_status_of_an_item_tells_what_becomes_of_its_row(self, status: int, again: int, refused: int) -> None:
        items: list[dict[str, Any]] = [{"create": {"status": 201}} for _ in range(10)]
        for place in (3, 7):
            items[place] = {"create": {"status": status, "error": {"type": "a", "reason": "b"}}}
        body = json.dumps({"errors": True, "items": items}).encode()
        with serving(Answering(200, body)) as server, http(server) as client:
            outcome = ElasticsearchSender(client, "calls").send(load())
        assert isinstance(outcome, Sent)
        assert (len(outcome.again), outcome.refused) == (again, refused)
        assert outcome.again == ((3, 7) if again else ())
        assert outcome.reason == ("a: b" if again or refused else "")

    def test_a_row_whose_fields_are_refused_is_sent_without_them_and_counted(self) -> None:
        def error(text: str) -> dict[str, Any]:
            return {"create": {"status": 400, "error": {"type": "illegal_argument_exception", "reason": text}}}

        good: dict[str, Any] = {"create": {"status": 201}}
        fields = error('immense term in field="http.request.headers._value"')
        first = [good, fields, error("failed to parse field [url.path]"), fields, *[good] * 5, fields]
        second = [good, error("no"), {"create": {"status": 429}}]
        bodies = [json.dumps({"errors": True, "items": items}).encode() for items in (first, second)]

        class Twice(Answering):
            @property
            def answer(self) -> tuple[int, bytes, dict[str, str]]:
                return 200, bodies[len(self.asked) - 1], {}

            @answer.setter
            def answer(self, _: object) -> None: ...

        with serving(Twice()) as server, http(server) as client:
            outcome = ElasticsearchSender(client, "calls").send(load())
        assert isinstance(outcome, Sent)
        # Of the three that came alone one is there without its fields, one never will be, one comes again.
        assert (outcome.cut, outcome.refused, outcome.again) == (1, 2, (9,))
        documents = [json.loads(line) for line in gzip.decompress(server.asked[1][2]).splitlines()[1::2]]
        assert [document["masthead"]["exchange_id"] for document in documents] == ["x-000001", "x-000003", "x-000009"]
        assert all("headers" not in document.get("http", {}).get("request", {}) for document in documents)


class TestLoki:
    def test_rows_without_their_fields_are_counted(self) -> None:
        (batch,) = batches([call(0, request_fields=pairs(("A", "v" * 200_000))), call(1)])
        with serving(Answering(204)) as server, http(server) as client:
            outcome = LokiSender(client, {}).send(Load(batch, "t-1"))
        assert isinstance(outcome, Sent)
        assert outcome.cut == 1

    @pytest.mark.parametrize(
        ("status", "text", "kind"),
        [
            (429, "Ingestion rate limit exceeded for user fake (limit: 4194304 bytes/sec)", TooLarge),
            (429, "too many outstanding requests", Again),
            (
                500,
                "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (5 vs. 4)",
                TooLarge,
            ),
            (503, "rpc error: code = Unavailable", Again),
            (400, "received message larger than max (5000000 vs. 4194304)", TooLarge),
            (400, "entry too far behind", Refused),
            (204, "", Sent),
        ],
    )
    def test_what_is_too_much_at_once_goes_in_less(self, status: int, text: str, kind: type) -> None:
        with serving(Answering(status, text.encode())) as server, http(server) as client:
            assert isinstance(LokiSender(client, {}).send(load(rows=4_000)), kind)

    def test_what_is_little_waits_for_the_rate(self) -> None:
        answer = Answering(429, b"Ingestion rate limit exceeded for user fake", {"retry-after": "1"})
        with serving(answer) as server, http(server) as client:
            assert LokiSender(client, {}).send(load(rows=5)) == Again(
                "status 429: Ingestion rate limit exceeded for user fake", 1
            )


class Answers:
    """A channel to a collector that answers as it is told."""

    def __init__(self, **answers: list[Outcome]) -> None:
        self.answers = answers
        self.sent: list[tuple[str, int]] = []

    def export(self, signal: str, body: bytes) -> Outcome:
        self.sent.append((signal, len(body)))
        answers = self.answers.get(signal, [])
        return answers.pop(0) if answers else Sent(1)

    def close(self) -> None:
        pass

    @property
    def signals(self) -> list[str]:
        return [signal for signal, _ in self.sent]


class TestOtlp:
    def test_logs_are_not_sent_again_in_halves_when_only_traces_were_too_large(self) -> None:
        channel = Answers(logs=[Sent(1, 7, "no")], traces=[TooLarge("413"), TooLarge("413")])
        sender = OtlpSender(channel, ("logs", "traces"), {})
        assert sender.send(load(0, 10, "t-1")) == TooLarge("413")
        assert sender.send(load(0, 5, "t-1-h0")) == TooLarge("413")
        outcomes = [
            sender.send(load(0, 2, "t-1-h0-h0")),
            sender.send(load(2, 3, "t-1-h0-h1")),
            sender.send(load(5, 5, "t-1-h1")),
        ]
        assert channel.signals == ["logs"] + ["traces"] * 5
        # What the collector refused of the whole is counted once.
        assert [outcome.refused for outcome in outcomes if isinstance(outcome, Sent)] == [2, 3, 2]
        assert not sender._progress  # noqa: SLF001 - nothing is remembered of what is done

    def test_what_was_refused_is_not_forgotten_when_the_other_signal_comes_later(self) -> None:
        channel = Answers(logs=[Sent(1, 3, "no")], traces=[Again("busy"), Again("busy")])
        sender = OtlpSender(channel, ("logs", "traces"), {})
        assert [sender.send(load()) for _ in range(3)] == [Again("busy"), Again("busy"), Sent(1, 3, "no")]
        assert channel.signals == ["logs", "traces", "traces", "traces"]


class Database:
    def __init__(self, error: DatabaseError) -> None:
        self.error = error

    def insert(self, *_: object) -> None:
        raise self.error


class TestClickhouse:
    @pytest.mark.parametrize(
        ("error", "rows", "kind"),
        [
            (DatabaseError("Memory limit (for query) exceeded: would use 1 GiB", 241), 2_000, TooLarge),
            (DatabaseError("Query memory limit exceeded: for query: would use 1 GiB", 241), 2_000, TooLarge),
            (DatabaseError("Memory limit (for query) exceeded", 241), 500, Again),
            (DatabaseError("Memory limit (total) exceeded", 241), 2_000, Again),
            (DatabaseError("Memory limit (for user) exceeded", 241), 2_000, Again),
            (DatabaseError("<html>Request Entity Too Large", status=413), 10, TooLarge),
            (DatabaseError("TOO_MANY_PARTS", 252, status=500), 10, Again),
            (DatabaseError("refused", unreachable=True), 10, Again),
        ],
    )
    def test_a_load_is_halved_where_that_helps(self, error: DatabaseError, rows: int, kind: type) -> None:
        sender = ClickhouseSender.__new__(ClickhouseSender)
        sender._client, sender._host = Database(error), "a"  # type: ignore[assignment]  # noqa: SLF001 - the seam
        sender._classes = _classes()  # noqa: SLF001
        assert isinstance(sender.send(load(rows=rows)), kind)


def _classes() -> Any:
    from masthead._native import Classes  # noqa: PLC0415
    from masthead.config import Config  # noqa: PLC0415
    from masthead.store.kinds import Kinds  # noqa: PLC0415

    kinds = Kinds.of(Config())
    return Classes(kinds.rules_json()), list(kinds.names)


class Error(NamedTuple):
    number: int
    text: str

    def code(self) -> int:
        return self.number

    def str(self) -> str:
        return self.text


class Producer:
    """What confluent-kafka's producer does, with a queue of so many messages and answers as it is told.

    Args:
        room: So many messages fit before it has to be polled.
        fate: Gives what became of the message with this number: an error, nothing, or `...` for silence.
    """

    def __init__(self, room: int, fate: Callable[[int], Any], *, polls: bool = True) -> None:
        self.room, self.fate, self.polls = room, fate, polls
        self.queue: list[tuple[int, Any]] = []
        self.count = 0
        self.silent: list[int] = []
        self.purged = 0

    def produce(self, topic: str, line: bytes, key: bytes | None, on_delivery: Any) -> None:
        assert topic
        assert line
        del key
        if len(self.queue) >= self.room:
            raise BufferError
        self.queue.append((self.count, on_delivery))
        self.count += 1

    def poll(self, seconds: float) -> None:
        if self.polls:
            self.flush(seconds)

    def flush(self, seconds: float) -> None:
        del seconds
        for number, told in self.queue:
            fate = self.fate(number)
            if fate is ...:
                self.silent.append(number)
            else:
                told(fate, None)
        self.queue.clear()

    def purge(self) -> None:
        self.purged += 1
        self.silent.clear()

    def __len__(self) -> int:
        return len(self.queue) + len(self.silent)


class TestKafka:
    @pytest.fixture
    def sender(self) -> kafka.KafkaSender:
        pytest.importorskip("confluent_kafka", reason="no confluent-kafka")
        sink = Kafka.model_validate({"kind": "kafka", "brokers": "127.0.0.1:1"})
        return kafka.KafkaSender(sink)

    def given(self, sender: kafka.KafkaSender, producer: Producer) -> Outcome:
        sender._producer.purge()  # noqa: SLF001 - the seam of the test
        sender._producer = producer  # type: ignore[assignment]  # noqa: SLF001
        return sender.send(load())

    def test_a_full_queue_is_waited_for(self, sender: kafka.KafkaSender) -> None:
        outcome = self.given(sender, Producer(3, lambda _: None))
        assert isinstance(outcome, Sent)
        assert (outcome.again, outcome.refused) == ((), 0)

    def test_a_queue_that_stays_full_costs_the_attempt_and_no_row(
        self, sender: kafka.KafkaSender, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(kafka, "_SECONDS", 0.05)
        producer = Producer(3, lambda _: ..., polls=False)
        with pytest.raises(BufferError):
            self.given(sender, producer)
        # What stood in the queue would be delivered behind our back: `Delivery` sends all of the load again.
        assert producer.purged == 1

    def test_rows_of_which_nothing_was_heard_come_again(self, sender: kafka.KafkaSender) -> None:
        producer = Producer(100, lambda number: None if number % 2 else ...)
        outcome = self.given(sender, producer)
        assert isinstance(outcome, Sent)
        assert outcome.again == (0, 2, 4, 6, 8)
        assert producer.purged == 1

    def test_nothing_confirmed_is_an_attempt_that_failed(self, sender: kafka.KafkaSender) -> None:
        assert isinstance(self.given(sender, Producer(100, lambda _: ...)), Again)

    def test_only_what_is_too_large_is_refused(self, sender: kafka.KafkaSender) -> None:
        from confluent_kafka import KafkaError  # noqa: PLC0415

        fates = {2: Error(KafkaError.MSG_SIZE_TOO_LARGE, "too large"), 5: Error(KafkaError._MSG_TIMED_OUT, "late")}  # noqa: SLF001
        outcome = self.given(sender, Producer(100, fates.get))
        assert outcome == Sent(outcome.bytes, 1, "too large", (5,))  # type: ignore[union-attr]


@contextmanager
def listener(kind: int = socket.SOCK_STREAM) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, kind) as made:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_192)
        made.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            made.listen()
        yield made


def messages(stream: bytes) -> list[bytes]:
    """Take a stream of counted octets apart; half a message at its end is none."""
    found = []
    while b" " in stream:
        length, _, rest = stream.partition(b" ")
        if len(rest) < int(length):
            break
        found.append(rest[: int(length)])
        stream = rest[int(length) :]
    return found


def received(connection: socket.socket, most: int) -> bytes:
    """Read so much, or to the end."""
    data = b""
    while len(data) < most and (piece := connection.recv(min(65_536, most - len(data)))):
        data += piece
    return data


class TestSyslog:
    def test_after_a_break_only_what_the_other_side_has_not_comes_again(self) -> None:
        with listener() as server:
            sender = SyslogSender(f"127.0.0.1:{server.getsockname()[1]}", "tcp")
            outcomes: list[Outcome] = []
            whole = load(rows=20_000)
            thread = threading.Thread(target=lambda: outcomes.append(sender.send(whole)))
            thread.start()
            connection, _ = server.accept()
            first = received(connection, 1_000_000)
            # Unread data makes the close a reset: the rest of the stream is lost.
            connection.close()
            thread.join(30)
            (outcome,) = outcomes
            assert isinstance(outcome, Sent)
            assert 0 < len(outcome.again) < 20_000
            # Never a row that had not arrived there at all; some may have been in the other side's buffer.
            assert outcome.again[0] >= len(messages(first))
            assert outcome.again[-1] == 19_999

    def test_a_server_that_reads_slowly_has_time_for_each_piece(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("masthead.sinks.syslog._SECONDS", 0.5)
        with listener() as server:
            sender = SyslogSender(f"127.0.0.1:{server.getsockname()[1]}", "tcp")
            outcomes: list[Outcome] = []
            whole = load(rows=20_000)
            thread = threading.Thread(target=lambda: outcomes.append(sender.send(whole)))
            thread.start()
            connection, _ = server.accept()
            began, size = time.monotonic(), 0
            for _ in range(4):
                # Each pause is shorter than a piece may take, and all together are longer.
                size += len(received(connection, 1 << 20))
                threading.Event().wait(0.3)
            while thread.is_alive():
                size += len(connection.recv(1 << 20))
            while piece := _rest(connection):
                size += len(piece)
            connection.close()
            sender.close()
            took = time.monotonic() - began
        assert outcomes == [Sent(size)]
        assert took > 0.5

    def test_a_datagram_that_fails_brings_the_rest_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with listener(socket.SOCK_DGRAM) as server:
            sender = SyslogSender(f"127.0.0.1:{server.getsockname()[1]}", "udp")
            sent: list[bytes] = []

            class Failing:
                def send(self, message: bytes) -> int:
                    if len(sent) == 4:
                        raise OSError(errno.ENOBUFS, "No buffer space available")
                    sent.append(message)
                    return len(message)

                def close(self) -> None:
                    pass

            monkeypatch.setattr(sender, "_connect", Failing)
            outcome = sender.send(load())
        assert isinstance(outcome, Sent)
        assert list(outcome.again) == [4, 5, 6, 7, 8, 9]
        assert "No buffer space" in outcome.reason


def _rest(connection: socket.socket) -> bytes:
    connection.settimeout(0.2)
    try:
        return connection.recv(1 << 20)
    except TimeoutError:
        return b""


class TestHeaders:
    @pytest.mark.parametrize("secret", ["to\nken", "tök\u2603en"])
    def test_a_secret_that_can_not_stand_in_a_header_is_told_without_it(
        self, secret: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("TOKEN", secret)
        with serving(Answering()) as server:
            client = Http(server.url, credentials=Credentials(token_env="TOKEN"))
            with pytest.raises(ConfigError, match="the request can't be made") as caught:
                client.post("/", b"", "text/plain")
            outcome = client.attempt("/", b"", "text/plain")
            client.close()
        assert isinstance(outcome, Again)
        for text in (str(caught.value), outcome.reason):
            assert secret not in text
            assert "ken" not in text.replace("token", "")
