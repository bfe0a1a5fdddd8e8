"""The sink that counts: batches into the extension's tables, tables to whoever scrapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from masthead.errors import ConfigError
from masthead.extension import native
from masthead.metrics import listed
from masthead.metrics.health import Constant, HealthCollector, LedgerSamples, SinkSamples
from masthead.metrics.tables import spec_json, tables_of
from masthead.samples import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from masthead._native import Batch as Rows
    from masthead._native import Tally
    from masthead.batch import Batch
    from masthead.config import Config
    from masthead.ledger import Ledger
    from masthead.metrics.endpoint import Endpoint
    from masthead.samples import Samples

    Accounts = Callable[[], Mapping[str, Mapping[str, float]]]


class MetricsSink:
    """Counts every batch, and serves the counts.

    Args:
        tally: What counts.
        endpoint: What serves; closed with the sink.
        health: Where other rooms' samples go.
        tell: Takes a message for the user.
    """

    gone = False

    def __init__(self, tally: Tally, endpoint: Endpoint, health: HealthCollector, tell: Callable[[str], None]) -> None:
        self.endpoint = endpoint
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
        self.endpoint.close()


def open_metrics(
    config: Config,
    *,
    ledger: Callable[[], Ledger],
    accounts: Accounts,
    version: str,
    tell: Callable[[str], None],
) -> MetricsSink | None:
    """Begin to count and to serve, if the settings name an address.

    Args:
        config: The settings.
        ledger: Gives the account, from any thread.
        accounts: Gives each sink's counts by the sink's name, from any thread.
        version: masthead's own.
        tell: Takes a message for the user.

    Raises:
        ConfigError: A metric can't be counted, or the address, a certificate or a secret can't be used.
    """
    if not config.prometheus.listen:
        return None
    from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app  # noqa: PLC0415 - only if served

    from masthead.metrics.collector import CallsCollector  # noqa: PLC0415 - likewise
    from masthead.metrics.endpoint import Endpoint  # noqa: PLC0415 - likewise

    tables = tables_of(config)
    try:
        tally = native().Tally(spec_json(tables, config.prometheus.max_label_sets))
    except ConfigError as error:
        raise ConfigError(error.what, "[[metrics]]", "docs/metrics.md lists what from and labels may be") from error
    build = Constant(Sample(listed.BUILD, (version,), 1))
    health = HealthCollector([LedgerSamples(ledger), SinkSamples(accounts), build])
    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(registry=registry)
    registry.register(CallsCollector(tally, tables))
    registry.register(health)
    return MetricsSink(tally, Endpoint(config.prometheus, make_wsgi_app(registry)), health, tell)
