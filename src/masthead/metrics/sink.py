"""The sink that counts: batches into the extension's tables, tables to whoever scrapes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from masthead.errors import ConfigError
from masthead.extension import native
from masthead.metrics import listed
from masthead.metrics.health import Constant, HealthCollector, LedgerSamples, SinkSamples
from masthead.metrics.tables import spec_json, tables_of
from masthead.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from masthead._native import Batch as Rows
    from masthead._native import Tally
    from masthead.batch import Batch
    from masthead.config import Config
    from masthead.ledger import Ledger
    from masthead.metrics.endpoint import Endpoint
    from masthead.metrics.otlp import Push
    from masthead.samples import Samples

    Pushing = tuple[Mapping[str, str], float, Callable[[bytes], str]]
    Accounts = Callable[[], Mapping[str, Mapping[str, float]]]


class MetricsSink:
    """Counts every batch, and serves the counts.

    Args:
        tally: What counts.
        endpoint: What serves, if anything does; closed with the sink, as are those that push.
        pushes: What pushes.
        health: Where other rooms' samples go.
        tell: Takes a message for the user.
    """

    gone = False

    def __init__(
        self,
        tally: Tally,
        health: HealthCollector,
        tell: Callable[[str], None],
        endpoint: Endpoint | None,
        pushes: Sequence[Push] = (),
    ) -> None:
        self._endpoint = endpoint
        self._pushes = pushes
        self._tally = tally
        self._health = health
        self._tell = tell
        self._told = False

    def add(self, samples: Samples) -> None:
        """Serve the samples of another room as well."""
        self._health.givers.append(samples)

    def write(self, batch: Batch) -> int:
        """Count a batch; gives its rows where they could not be counted."""
        try:
            self._tally.observe(cast("Rows", batch))
        except RuntimeError as error:
            if not self._told:
                self._tell(f"metrics: a batch could not be counted: {error}")
            self._told = True
            return batch.num_rows
        return 0

    def note(self, event: Mapping[str, object]) -> None:
        """Take a line about masthead itself; the ledger's counts say the same."""

    def close(self) -> None:
        """Stop serving."""
        for push in self._pushes:
            push.close()
        if self._endpoint:
            self._endpoint.close()

    @property
    def port(self) -> int | None:
        """Where it serves; `None` where it only pushes."""
        return self._endpoint.port if self._endpoint else None


def open_metrics(  # noqa: PLR0913 - each by its name
    config: Config,
    *,
    ledger: Callable[[], Ledger],
    accounts: Accounts,
    version: str,
    tell: Callable[[str], None],
    pushes: Sequence[Pushing] = (),
) -> MetricsSink | None:
    """Begin to count, and to serve or push, if the settings name an address or somebody to push to.

    Args:
        config: The settings.
        ledger: Gives the account, from any thread.
        accounts: Gives each sink's counts by the sink's name, from any thread.
        version: masthead's own.
        tell: Takes a message for the user.
        pushes: What each push needs: attributes of the resource, seconds between two, and what sends a request.

    Raises:
        NotSupportedError: Something is to be pushed, and the library is missing.
        ConfigError: A metric can't be counted, or the address, a certificate or a secret can't be used.
    """
    if not config.prometheus.listen and not pushes:
        return None
    from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app  # noqa: PLC0415 - only if served

    from masthead.metrics.collector import CallsCollector  # noqa: PLC0415 - likewise
    from masthead.metrics.endpoint import Endpoint  # noqa: PLC0415 - likewise
    from masthead.metrics.exposition import Exposition  # noqa: PLC0415 - likewise
    from masthead.metrics.otlp import Push, Writer  # noqa: PLC0415 - likewise

    tables = tables_of(config)
    try:
        tally = native().Tally(spec_json(tables, config.prometheus.max_label_sets))
    except ConfigError as error:
        raise ConfigError(error.what, "[[metrics]]", "docs/metrics.md lists what from and labels may be") from error
    build = Constant(Sample(listed.BUILD, (version,), 1))
    health = HealthCollector([LedgerSamples(ledger), SinkSamples(accounts), build])
    calls, others, registry = CallsCollector(tally, tables), *(CollectorRegistry(auto_describe=False) for _ in range(2))
    ProcessCollector(registry=others)
    others.register(health)
    registry.register(calls)
    registry.register(others)
    pushing = [
        Push(registry, Writer(resource, time.time_ns()), export, seconds=seconds, tell=tell)
        for resource, seconds, export in pushes
    ]
    text = Exposition(calls, others, make_wsgi_app(registry))
    endpoint = Endpoint(config.prometheus, text) if config.prometheus.listen else None
    return MetricsSink(tally, health, tell, endpoint, pushing)
