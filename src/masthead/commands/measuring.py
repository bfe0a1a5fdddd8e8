"""What `run` serves as metrics: calls, masthead's own health, and forecasts that are renewed now and then."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from masthead.commands.sending import pushes
from masthead.config.units import age_seconds
from masthead.delivery import Delivery
from masthead.errors import MastheadError
from masthead.query.open import open_reader
from masthead.sinks import complain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from masthead.alerts.sink import AlertsSink
    from masthead.config import Config
    from masthead.forecast.gauges import Gauges
    from masthead.metrics.sink import MetricsSink
    from masthead.pipeline import Pipeline
    from masthead.samples import Reading

# The first forecast waits until the service has settled.
_FIRST_SECONDS = 60.0


def serve_metrics(config: Config, pipeline: Pipeline, alerts: AlertsSink | None, version: str) -> None:
    """Begin to count and to serve, where the settings name an address; the sink joins the pipeline.

    Raises:
        ConfigError: The address, a certificate, a secret or a metric can't be used.
        NotSupportedError: Forecasts are asked for, and their library is missing.
    """
    from masthead.metrics.sink import open_metrics  # noqa: PLC0415 - takes long to import

    def accounts() -> Mapping[str, Mapping[str, float]]:
        return {sink.name: sink.account.counts() for sink in pipeline.sinks if isinstance(sink, Delivery)}

    metrics = open_metrics(
        config,
        ledger=pipeline.ledger,
        accounts=accounts,
        version=version,
        tell=complain,
        pushes=pushes(config),
    )
    if metrics is None:
        return
    if alerts:
        metrics.add(alerts)
    _forecast(config, metrics)
    pipeline.sinks.append(metrics)


def _forecast(config: Config, metrics: MetricsSink) -> None:
    every = age_seconds(config.forecast.every)
    if every is None or not config.store.path:
        return
    from masthead.forecast import require  # noqa: PLC0415 - an optional dependency

    require()
    from masthead.forecast.gauges import Gauges  # noqa: PLC0415

    settings = config.forecast
    gauges = Gauges(time.time_ns, settings.metrics, settings.slos, settings.routes)
    metrics.add(Outlooks(gauges, config, every))


class Outlooks:
    """Forecasts in the background: what was found last is what is served.

    Args:
        gauges: Makes them.
        config: Where the store is, and what a query may take.
        every: Seconds between two.
    """

    def __init__(self, gauges: Gauges, config: Config, every: float) -> None:
        self._gauges = gauges
        self._config = config
        self._every = every
        self._found: list[Reading] = []
        threading.Thread(target=self._run, name="masthead-forecasts", daemon=True).start()

    def samples(self) -> list[Reading]:
        """Give what was found last."""
        return self._found

    def renew(self) -> None:
        """Ask the store and forecast; what can't be answered is told, and the old forecasts are let go."""
        try:
            reader = open_reader(self._config.store.path, self._config)
            try:
                self._found = list(self._gauges.samples(reader))
            finally:
                reader.close()
        except MastheadError as error:
            self._found = []
            complain(f"no forecasts: {error}")

    def _run(self) -> None:
        wait = min(_FIRST_SECONDS, self._every)
        while True:
            time.sleep(wait)
            self.renew()
            wait = self._every
