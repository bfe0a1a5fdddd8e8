"""Texts of annotations and labels with what an alert has in them: `{{ $labels.route }}`, `{{ $value | humanize }}`.

Of Prometheus' templates that is what rules use; anything else is refused when the rule is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from masthead.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PLACE = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_CALL = re.compile(r"\s*\$(?:labels\.([A-Za-z_][A-Za-z0-9_]*)|(value))\s*(?:\|\s*(\w+)\s*)?")
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_SPANS = ((86_400, "d"), (3_600, "h"), (60, "m"))


def check(text: str, labels: tuple[str, ...]) -> None:
    """Refuse what can't be filled in.

    Args:
        text: The template.
        labels: The labels that an alert can have.

    Raises:
        ConfigError: A place names something else.
    """
    for place in _PLACE.findall(text):
        found = _CALL.fullmatch(place)
        if not found or (found[3] and found[3] not in _FORMS):
            what = f'"{{{{{place}}}}}" can\'t be filled in'
            raise ConfigError(what, remedy=f"known: {{{{ $labels.NAME }}}}, {{{{ $value }}}}, | {', | '.join(_FORMS)}")
        if found[1] and found[1] not in labels:
            what = f'the alert has no label "{found[1]}"'
            raise ConfigError(what, remedy=f"it has: {', '.join(labels) or 'none'}; by (...) makes labels")


def fill(text: str, labels: Mapping[str, str], value: float) -> str:
    """Fill a template in; a label that is absent is empty."""

    def filled(place: re.Match[str]) -> str:
        found = _CALL.fullmatch(place[1])
        if not found:
            return place[0]
        if found[1]:
            return labels.get(found[1], "")
        return _FORMS[found[3]](value) if found[3] else f"{value:.6g}"

    return _PLACE.sub(filled, text)


def _humanize(value: float) -> str:
    for size, prefix in _PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.4g}{prefix}"
    return f"{value:.4g}"


def _percentage(value: float) -> str:
    return f"{value * 100:.4g}%"


def _duration(value: float) -> str:
    if abs(value) < 1:
        return f"{value * 1000:.4g}ms"
    left, words = round(value), []
    for size, unit in _SPANS:
        if left >= size:
            words.append(f"{left // size}{unit}")
            left %= size
    return " ".join([*words, f"{left}s"]) if words else f"{value:.4g}s"


_FORMS: dict[str, Callable[[float], str]] = {
    "humanize": _humanize,
    "humanizePercentage": _percentage,
    "humanizeDuration": _duration,
}
