"""Traffic made up for alerts: weeks of it by the minute, with seasons, noise, and whatever is to go wrong.

Counts are drawn from Poisson's distribution around a rate that follows the hour of the day, is lower at weekends, and
is off by a factor that changes every day; so neither an hour nor a day is like the one before.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from masthead.alerts.tables import Group

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
# Monday, 2026-08-03T00:00:00Z.
MONDAY_NS = 1_785_715_200_000_000_000


@dataclass
class Route:
    """One route's traffic.

    Attributes:
        rate: Calls a minute on average at the peak of a working day.
        errors: Share of 5xx.
        median: Seconds that a call takes.
        spread: Of the logarithm of that.
        weekend: Weekend's traffic as a share of a working day's.
        night: The quietest hour's as a share of the busiest one's.
        headers: Shares of the values of a field; `None` for calls without it.
    """

    rate: float
    errors: float = 0.002
    median: float = 0.08
    spread: float = 0.6
    weekend: float = 0.4
    night: float = 0.15
    headers: Mapping[str | None, float] = field(default_factory=lambda: {"nginx/1.24": 1.0})


# Changes a route's traffic at a time (nanoseconds since 1970): what goes wrong.
Trouble: TypeAlias = Callable[[int, str, Route], Route]


def usual(_now_ns: int, _name: str, route: Route) -> Route:
    return route


class Traffic:
    """Slots of traffic.

    Args:
        specification: What the Tally would have been made with.
        routes: The routes.
        seed: Of the noise.
        trouble: What goes wrong.
        slot_ns: Length of a slot.

    Attributes:
        weight: How many calls a row stands for, where calls are sampled.
    """

    def __init__(
        self,
        specification: Mapping[str, Any],
        routes: Mapping[str, Route],
        seed: int,
        trouble: Trouble = usual,
        slot_ns: int = MINUTE_NS,
    ) -> None:
        self.weight = 1
        self._tables = specification["tables"]
        self._routes = routes
        self._draw = np.random.default_rng(seed)
        self._trouble = trouble
        self._slot_ns = slot_ns
        self._day: dict[tuple[str, int], float] = {}

    def slots(self, begin_ns: int, end_ns: int) -> Iterator[tuple[int, dict[str, list[Group]]]]:
        """Give each slot's end and its groups by table."""
        for slot_end in range(begin_ns + self._slot_ns, end_ns + 1, self._slot_ns):
            counted: dict[str, list[Group]] = {table["name"]: [] for table in self._tables}
            for name, route in self._routes.items():
                now = self._trouble(slot_end - self._slot_ns, name, route)
                calls = self._calls(name, now, slot_end - self._slot_ns)
                for table in self._tables:
                    counted[table["name"]] += self._groups(table, name, now, calls)
            yield slot_end, counted

    def _calls(self, name: str, route: Route, now_ns: int) -> int:
        day = now_ns // DAY_NS
        factor = self._day.setdefault((name, day), float(np.exp(self._draw.normal(0, 0.05))))
        hour = (now_ns % DAY_NS) / HOUR_NS
        wave = 0.5 - 0.5 * math.cos((hour - 4) / 24 * 2 * math.pi)
        rate = route.rate * (route.night + (1 - route.night) * wave) * factor
        # 1970 began on a Thursday.
        if (day + 3) % 7 >= 5:
            rate *= route.weekend
        return int(self._draw.poisson(rate * self._slot_ns / MINUTE_NS / self.weight))

    def _groups(self, table: Mapping[str, Any], name: str, route: Route, calls: int) -> Iterator[Group]:
        if not calls:
            return
        parts: list[dict[str, str | None]] = [{"route": name}]
        weights = [calls]
        for key in table["by"]:
            if key != "route":
                shares = self._shares(key, route)
                split = [self._draw.multinomial(weight, list(shares.values())) for weight in weights]
                weights = [int(one) for drawn in split for one in drawn]
                parts = [{**part, key: value} for part in parts for value in shares]
        for part, weight in zip(parts, weights, strict=True):
            if weight:
                key = tuple(part.get(key) for key in table["by"])
                measures = [self._measure(form, route, weight) for form in table["measures"]]
                yield Group(key, float(weight * self.weight), measures, weight)

    def _shares(self, key: str, route: Route) -> Mapping[str | None, float]:
        if key == "status_class":
            return {"5xx": route.errors, "4xx": 0.02, "2xx": 0.98 - route.errors}
        if key == "error_type":
            return {"500": route.errors, None: 1 - route.errors}
        if key.endswith("?"):
            missing = route.headers.get(None, 0.0)
            return {"1": 1 - missing, "0": missing}
        return route.headers

    def _measure(self, form: Mapping[str, Any], route: Route, calls: int) -> list[float]:
        shares = _shares(tuple(form["bounds"]), route.median, route.spread)
        drawn: list[float] = (self._draw.multinomial(calls, shares) * self.weight).tolist()
        return drawn


@functools.cache
def _shares(bounds: tuple[int, ...], median: float, spread: float) -> list[float]:
    below = [_normal(math.log(bound / 1e9 / median) / spread) if bound else 0.0 for bound in bounds]
    return [max(share, 0.0) for share in np.diff([0.0, *below, 1.0]).tolist()]


def _normal(value: float) -> float:
    return 0.5 * (1 + math.erf(value / math.sqrt(2)))
