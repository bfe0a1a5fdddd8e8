"""Made-up traffic with known truth: hours of weeks, seeded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from masthead.forecast.shape import Floats

WEEK = 168
DAY = 24


def shape(draw: np.random.Generator, count: int) -> Floats:
    """Give a shape of day and week whose mean is about 1."""
    at = np.arange(count)
    day = 1 + 0.55 * np.sin(2 * np.pi * (at - draw.uniform(6, 10)) / DAY)
    day += 0.18 * np.sin(4 * np.pi * (at - draw.uniform(0, 6)) / DAY)
    return np.asarray(np.clip(day, 0.08, None) * np.where(at // DAY % 7 >= 5, draw.uniform(0.4, 0.7), 1.0))


def noise(draw: np.random.Generator, count: int, size: float = 0.06, kept: float = 0.0) -> Floats:
    """Give factors around 1 that forget slowly."""
    found, last = np.zeros(count), 0.0
    for place, new in enumerate(draw.normal(0, size, count).tolist()):
        last = found[place] = kept * last + new
    return np.exp(found)


def seasonal(draw: np.random.Generator, count: int) -> Floats:
    return 1000 * shape(draw, count) * noise(draw, count)


def growing(draw: np.random.Generator, count: int) -> Floats:
    return 500 * shape(draw, count) * (1 + 0.06 * np.arange(count) / WEEK) * noise(draw, count)


def counts(draw: np.random.Generator, count: int) -> Floats:
    return draw.poisson(20 * shape(draw, count)).astype(np.float64)


def sparse(draw: np.random.Generator, count: int) -> Floats:
    return draw.poisson(0.4 * shape(draw, count)).astype(np.float64)


def shifted(draw: np.random.Generator, count: int) -> Floats:
    found = 800 * shape(draw, count) * noise(draw, count)
    found[count - WEEK - int(draw.integers(4 * DAY, 12 * DAY)) :] *= draw.choice([0.5, 1.8])
    return found


def gaps(draw: np.random.Generator, count: int) -> Floats:
    found = seasonal(draw, count)
    found[: count - WEEK][draw.random(count - WEEK) < 0.05] = np.nan
    begin = int(draw.integers(200, 600))
    found[begin : begin + 50] = np.nan
    return found


def wandering(draw: np.random.Generator, count: int) -> Floats:
    return 1000 * shape(draw, count) * noise(draw, count, 0.05, 0.97)


def durations(draw: np.random.Generator, count: int) -> Floats:
    return 80 * (1 + 0.5 * shape(draw, count)) * noise(draw, count, 0.06, 0.8) * noise(draw, count, 0.05)


def ratios(draw: np.random.Generator, count: int) -> Floats:
    calls = draw.poisson(400 * shape(draw, count))
    failed = draw.binomial(calls, np.clip(0.01 * noise(draw, count, 0.15, 0.9), 0, 1))
    return np.asarray(failed / np.maximum(calls, 1))


KINDS: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "seasonal": seasonal,
    "growing": growing,
    "counts": counts,
    "sparse": sparse,
    "shifted": shifted,
    "gaps": gaps,
    "wandering": wandering,
    "durations": durations,
    "ratios": ratios,
}


def split(kind: str, seed: int, weeks: int = 5) -> tuple[Floats, Floats]:
    """Give so many weeks of a kind, and the week after them, which is held back."""
    made = KINDS[kind](np.random.default_rng([seed, *kind.encode()]), (weeks + 1) * WEEK)
    return made[:-WEEK], made[-WEEK:]


def naive(past: Floats) -> Floats:
    """Give the same hour of the last week that is known."""
    found = past[-WEEK:].copy()
    for back in range(2, len(past) // WEEK + 1):
        earlier = past[len(past) - back * WEEK :][:WEEK]
        found = np.where(np.isnan(found), earlier, found)
    return found
