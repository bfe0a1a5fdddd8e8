"""What stands in a measure's brackets: given to its parameters, or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn, TypeAlias

from masthead.alerts.expression.measures import BASELINED, CATALOGUE, COLUMNS, HEADER, KEYS, STATUS
from masthead.alerts.expression.nodes import Measure

Refuse: TypeAlias = Callable[[int, str, str], NoReturn]
Bound: TypeAlias = tuple[Measure | None, tuple[str, ...], dict[str, float]]
_NUMBERS = ("share", "seconds", "learn", "slo", "slow")


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument as it was read.

    Attributes:
        name: Given with it, `slo=0.999`; else empty.
        value: A number, a word or text, or a measure.
        at: Where it stands.
    """

    name: str
    value: float | str | Measure
    at: int


def bind(name: str, at: int, arguments: list[Argument], refuse: Refuse) -> Bound:
    """Give the arguments to the parameters: the inner measure, texts, and numbers by name."""
    waiting = list(CATALOGUE[name].parameters)
    inner, texts, numbers = None, list[str](), dict[str, float]()
    for argument in arguments:
        parameter = _parameter(name, argument, waiting, refuse)
        waiting.remove(parameter)
        value = _fit(name, parameter.rstrip("?"), argument, refuse)
        if isinstance(value, Measure):
            inner = value
        elif isinstance(value, str):
            texts.append(value)
        else:
            numbers[parameter.rstrip("?")] = value
    needed = [parameter for parameter in waiting if not parameter.endswith("?")]
    if needed:
        refuse(at, f"{name} needs {needed[0]}", f"such as {EXAMPLES[name]}")
    return inner, tuple(texts), numbers


def known_key(key: str, at: int, measure: str, refuse: Refuse) -> str:
    """Give a key as it is known; names of fields have no case."""
    if measure == "ledger_lost":
        if key != "loss":
            refuse(at, f'losses have no "{key}"', "write ledger_lost[5m] by (loss), or without by")
        return key
    if HEADER.fullmatch(key.lower()):
        return key.lower()
    if key not in KEYS:
        close = get_close_matches(key, KEYS, n=1)
        meant = f'; did you mean "{close[0]}"?' if close else ""
        remedy = f"known: {', '.join(KEYS)}, request.header.NAME, response.header.NAME"
        refuse(at, f'unknown key "{key}"{meant}', remedy)
    return key


def _parameter(name: str, argument: Argument, waiting: list[str], refuse: Refuse) -> str:
    if argument.name:
        for parameter in waiting:
            if parameter.rstrip("?") == argument.name:
                return parameter
        refuse(argument.at, f'{name} has no "{argument.name}"', f"such as {EXAMPLES[name]}")
    if not waiting:
        refuse(argument.at, f"{name} takes no more than this", f"such as {EXAMPLES[name]}")
    return waiting[0]


def _fit(name: str, parameter: str, argument: Argument, refuse: Refuse) -> float | str | Measure:
    value, example = argument.value, f"such as {EXAMPLES[name]}"
    if parameter in _NUMBERS:
        if not isinstance(value, float):
            refuse(argument.at, f"{parameter} is a number", example)
        if parameter in ("share", "slo") and not 0 < value < 1:
            refuse(argument.at, f"{parameter} lies between 0 and 1", example)
        return value
    if parameter == "measure":
        known = ("calls",) if name == "absent" else BASELINED
        if not isinstance(value, Measure) or value.name not in known:
            refuse(argument.at, f"{name} looks at a measure: {', '.join(sorted(known))}", example)
        return value
    if not isinstance(value, str):
        refuse(argument.at, f"{name} takes a {parameter} here", example)
    return _word(parameter, value, argument.at, refuse, example)


def _word(parameter: str, value: str, at: int, refuse: Refuse, example: str) -> str:
    if parameter == "column" and value not in COLUMNS:
        refuse(at, f'unknown column "{value}"', f"known: {', '.join(COLUMNS)}")
    if parameter == "class" and not STATUS.fullmatch(value):
        refuse(at, f'"{value}" is no status', 'a class such as "4xx" or a status such as "429"')
    if parameter == "header":
        if not HEADER.fullmatch(value.lower()):
            refuse(at, f'"{value}" is no field of a message', example)
        return value.lower()
    return known_key(value, at, "", refuse) if parameter == "key" else value


EXAMPLES = {
    "calls": "calls[5m]",
    "error_ratio": "error_ratio[5m]",
    "status_ratio": 'status_ratio("4xx")[5m]',
    "slow_ratio": "slow_ratio(300ms)[5m]",
    "missing": "missing(request.header.authorization)[10m]",
    "present": "present(response.header.x-debug)[10m]",
    "quantile": "quantile(0.95, duration)[5m]",
    "average": "average(response_body_bytes)[5m]",
    "sum": "sum(request_body_bytes)[1h]",
    "min": "min(response.header.x-ratelimit-remaining)[1m]",
    "max": "max(response.header.x-ratelimit-limit)[1m]",
    "last": "last(response.header.x-ratelimit-remaining)[1m]",
    "spike": "spike(calls)[5m]",
    "drop": "drop(calls)[5m]",
    "deviation": "deviation(error_ratio)[5m]",
    "expected": "expected(calls)[5m]",
    "new_values": "new_values(response.header.server)[1h]",
    "gone_values": "gone_values(response.header.server, learn=7d)[1h]",
    "absent": "absent(calls)[10m]",
    "burn_rate": "burn_rate(slo=0.999)[1h]",
    "ledger_lost": "ledger_lost[5m]",
}
