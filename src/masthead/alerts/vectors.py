"""Values by series, and what arithmetic, comparisons and sets do with them, as in Prometheus.

Series of two sides belong together when they agree in the keys that both sides have. So one side may be coarser than
the other: `error_ratio[5m] by (route) > 5% and calls[5m] > 100` asks of each route whether all routes together had
calls enough. Where there is nothing to divide by there is no value.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import TypeAlias

from masthead.alerts.windows import Labels

Vector: TypeAlias = Mapping[Labels, float]
Keys: TypeAlias = tuple[str, ...]

_ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda one, other: one / other if other else math.nan,
}
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def apply(sign: str, left: Vector, right: Vector, left_keys: Keys, right_keys: Keys) -> Vector:
    """Give what a sign makes of two sides; a number is a side without keys."""
    if sign in ("and", "unless"):
        return _within(left, right, left_keys, right_keys, wanted=sign == "and")
    if sign == "or":
        arranged = {_arranged(labels, right_keys, left_keys): value for labels, value in right.items()}
        return {**arranged, **left}
    if len(left_keys) >= len(right_keys):
        pairs = _pairs(left, right, left_keys, right_keys)
        return _worked(sign, [(labels, value, other, value) for labels, value, other in pairs])
    pairs = _pairs(right, left, right_keys, left_keys)
    return _worked(sign, [(labels, other, value, value) for labels, value, other in pairs])


def _worked(sign: str, quads: list[tuple[Labels, float, float, float]]) -> Vector:
    """Work out `labels, left, right, what a comparison lets through`."""
    if sign in _COMPARE:
        holds = _COMPARE[sign]
        return {labels: kept for labels, left, right, kept in quads if holds(left, right)}
    work = _ARITHMETIC[sign]
    found = {labels: work(left, right) for labels, left, right, _ in quads}
    return {labels: value for labels, value in found.items() if math.isfinite(value)}


def _pairs(fine: Vector, coarse: Vector, fine_keys: Keys, coarse_keys: Keys) -> list[tuple[Labels, float, float]]:
    places = [fine_keys.index(key) for key in coarse_keys]
    found = []
    for labels, value in fine.items():
        other = coarse.get(tuple(labels[place] for place in places))
        if other is not None:
            found.append((labels, value, other))
    return found


def _within(left: Vector, right: Vector, left_keys: Keys, right_keys: Keys, *, wanted: bool) -> Vector:
    common = [key for key in left_keys if key in right_keys]
    ours = [left_keys.index(key) for key in common]
    theirs = [right_keys.index(key) for key in common]
    there = {tuple(labels[place] for place in theirs) for labels in right}
    return {
        labels: value for labels, value in left.items() if (tuple(labels[place] for place in ours) in there) == wanted
    }


def _arranged(labels: Labels, keys: Keys, wanted: Keys) -> Labels:
    return tuple(labels[keys.index(key)] for key in wanted)
