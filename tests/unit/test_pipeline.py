from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from masthead.pipeline import Pipeline
from tests.unit.doubles import Recorded, Rows


@dataclass
class Keeping:
    """A sink that keeps what it gets, and fails as often as told."""

    fails: int = 0
    gone: bool = False
    got: list[object] = field(default_factory=list)
    notes: list[Mapping[str, object]] = field(default_factory=list)

    def write(self, batch: object) -> int:
        self.got.append(batch)
        return self.fails

    def note(self, event: Mapping[str, object]) -> None:
        self.notes.append(event)

    def close(self) -> None:
        self.gone = True


def test_a_batch_goes_through_the_processors_to_every_sink() -> None:
    first, second = Rows([{"n": 1}]), Rows([{"n": 2}, {"n": 3}])
    sinks = [Keeping(), Keeping()]
    pipeline = Pipeline(Recorded(deque([first])), sinks, [lambda _: second])
    assert pipeline.step(0)
    assert not pipeline.step(0)
    assert [sink.got for sink in sinks] == [[second], [second]]


def test_a_row_that_several_sinks_miss_is_one_failed_row() -> None:
    source = Recorded(deque([Rows([{}, {}, {}])]))
    pipeline = Pipeline(source, [Keeping(fails=2), Keeping(fails=1)])
    pipeline.step(0)
    counts = pipeline.ledger().counts
    assert (counts["rows.written"], counts["rows.failed_at_sink"]) == (1, 2)


def test_a_closed_source_is_emptied() -> None:
    class Slow(Recorded):
        def next(self, timeout_ms: int) -> Rows | None:
            batch = super().next(timeout_ms)
            self.closed = not self.batches
            return batch

    sink = Keeping()
    Pipeline(Slow(deque([Rows([{}]), None, Rows([{}])])), [sink]).drain()
    assert len(sink.got) == 2


def test_a_source_that_never_ends_is_given_up_on() -> None:
    class Stuck(Recorded):
        def close(self) -> None:
            self.closed = False

    Pipeline(Stuck(deque()), []).drain()


def test_only_when_no_sink_is_read_any_more_it_is_gone() -> None:
    assert not Pipeline(Recorded(deque()), [Keeping(gone=True), Keeping()]).gone
    assert Pipeline(Recorded(deque()), [Keeping(gone=True)]).gone
