"""`masthead forecast`: what the next hours and days will bring, by route."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from masthead.commands import asking
from masthead.config.units import age_seconds
from masthead.errors import UsageError
from masthead.query.output import write_lines
from masthead.sinks import complain
from masthead.sinks.outlet import Outlet

if TYPE_CHECKING:
    import argparse

    from masthead.forecast.ask import Ask
    from masthead.query.open import Reader

_METRICS = ("rate", "p95", "errors", "quota")
_STEPS = ("5m", "10m", "15m", "30m", "60m", "1h")
_EPILOG = """
examples:
  masthead forecast                                     calls per second, the most called routes
  masthead forecast --slo "error_ratio < 0.01" --ahead 3d
  masthead forecast --metric quota --since 14d          when is a provider's quota used up?
  masthead forecast --route '/v1/orders' --each --output csv

rate: requests_per_second; p95: p95_ms; errors: error_ratio (5xx and no answer); quota: quota_used, the
share that response fields tell, of calls of either end. --slo names one of these, and so the metric.
Four weeks of history are good, two the least that show a week; with less only the day or the
level is carried on, and with less than a day nothing is said. Needs masthead[forecast].
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    group = parser.add_argument_group("forecast")
    group.add_argument("--metric", choices=_METRICS, default="", help="of what (default: what --slo names, else rate)")
    group.add_argument("--ahead", metavar="AGE", default="24h", help="how far to look ahead (24h)")
    group.add_argument("--slo", metavar="LIMIT", default="", help='tell when it breaks: "error_ratio < 0.01"')
    group.add_argument("--step", choices=_STEPS, default="1h", help="length of a step (1h)")
    group.add_argument("--each", action="store_true", help="every step, with intervals of 80 and 95 %%")
    asking.add_scope(parser, since="28d", limit=20)
    parser.set_defaults(role="")
    asking.add_flags(parser)


def execute(parsed: argparse.Namespace) -> int:
    """Answer."""
    from masthead.forecast import require  # noqa: PLC0415 - an optional dependency, slow to load

    require()
    from masthead.forecast import rows  # noqa: PLC0415
    from masthead.forecast.outlook import outlooks  # noqa: PLC0415

    ask = _ask(parsed)
    make, columns = (rows.points, rows.POINTS) if parsed.each else (rows.summary, rows.SUMMARY)

    def forecast(reader: Reader) -> list[rows.Row]:
        with asking.Bar() as bar:
            return [row for outlook in outlooks(reader, ask, bar.show) for row in make(outlook)]

    found = asking.with_store(parsed, forecast, ask.scope.since_ns)
    outlet = Outlet(parsed.file, reader_may_leave=True)
    try:
        form = parsed.output or ("table" if outlet.terminal else "csv")
        write_lines((*rows.keys(ask.metric), *columns), found, form, outlet)
        if not found and outlet.terminal:
            complain("nothing was found; --since and --store tell where it was looked for")
    finally:
        outlet.close()
    return 0


def _ask(parsed: argparse.Namespace) -> Ask:
    from masthead.forecast.ask import read  # noqa: PLC0415 - slow to load

    minutes = round(_seconds(parsed.step, "--step") / 60)
    hours = _seconds(parsed.ahead, "--ahead") / 3600
    return read(parsed.metric, parsed.slo, asking.scope(parsed), time.time_ns(), ahead_hours=hours, minutes=minutes)


def _seconds(text: str, flag: str) -> float:
    try:
        seconds = age_seconds(text)
    except ValueError as error:
        raise UsageError(f'"{text}" {error}', flag) from None
    if not seconds:
        raise UsageError(f'"{text}" is no length of time', flag, "write one such as 24h or 3d")
    return seconds
