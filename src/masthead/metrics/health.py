"""masthead's own health: the ledger, the sinks, and whatever else gives samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.metrics import listed
from masthead.metrics.collector import family
from masthead.samples import Metric, Reading, Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.core import Metric as Family

    from masthead.ledger import Ledger
    from masthead.samples import Samples

_OPEN = "rows.open"
_OUTCOMES = ("received", "sent", "refused", "dropped", "sampled_out")
_SINK_COUNTS = (
    (listed.SINK_WAITING, "waiting"),
    (listed.SINK_SPOOLED, "spooled"),
    (listed.SINK_CUT, "cut"),
    (listed.SINK_ATTEMPTS, "attempts"),
    (listed.SINK_FAILURES, "failures"),
    (listed.SINK_BYTES, "bytes"),
    (listed.SINK_SECONDS, "seconds"),
)


class LedgerSamples:
    """The account of everything seen, logged and lost."""

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._ledger = ledger

    def samples(self) -> Iterator[Sample]:
        """Give every count, zeros too, so that a first loss is seen as a rise."""
        ledger = self._ledger()
        for name, count in ledger.counts.items():
            if name != _OPEN:
                yield Sample(listed.LEDGER, (name,), count)
        yield Sample(listed.EXCHANGES_OPEN, (), ledger.counts.get(_OPEN, 0))
        yield Sample(listed.LEDGER_CLOSED, (), float(ledger.closed))


class SinkSamples:
    """What became of the rows of each sink.

    Args:
        accounts: Gives each sink's counts by the sink's name; counts that it lacks are left out.
    """

    def __init__(self, accounts: Callable[[], Mapping[str, Mapping[str, float]]]) -> None:
        self._accounts = accounts

    def samples(self) -> Iterator[Sample]:
        """Give them all."""
        for sink, counts in self._accounts().items():
            for outcome in _OUTCOMES:
                if outcome in counts:
                    yield Sample(listed.SINK_ROWS, (sink, outcome), counts[outcome])
            for metric, name in _SINK_COUNTS:
                if name in counts:
                    yield Sample(metric, (sink,), counts[name])


class Constant:
    """Samples that never change."""

    def __init__(self, *samples: Sample) -> None:
        self._samples = samples

    def samples(self) -> Iterable[Sample]:
        """Give them."""
        return self._samples


class HealthCollector:
    """Puts samples of many givers together, family by family.

    Attributes:
        givers: May grow at any time.
    """

    def __init__(self, givers: Iterable[Samples]) -> None:
        self.givers = list(givers)

    def collect(self) -> Iterator[Family]:
        """Give all families as of now."""
        families: dict[Metric, Family] = {}
        for giver in tuple(self.givers):
            for sample in giver.samples():
                if isinstance(sample, Reading):
                    metric, labels, value = _metric(sample), dict(sample.labels), sample.value
                else:
                    metric, value = sample.metric, sample.value
                    labels = dict(zip(metric.labels, sample.labels, strict=True))
                made = families.get(metric) or families.setdefault(metric, family(metric))
                made.add_sample(metric.exposed, labels, value)
        yield from families.values()


def _metric(reading: Reading) -> Metric:
    name = reading.name.removesuffix("_total")
    return Metric(name, "gauge" if name == reading.name else "counter", (), reading.help)
