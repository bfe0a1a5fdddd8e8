"""Alerts as text for people."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from masthead.alerts.states import FIRING, INACTIVE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from masthead.alerts.notify.silences import Silence, Silences
    from masthead.alerts.states import Texts, Transition


def history(found: Sequence[Transition], names: Iterable[str], learning: int) -> str:
    """Tell when rules would have fired, one line for each time, and which of them never."""
    begun: dict[tuple[str, str], Transition] = {}
    lines: list[tuple[int, str]] = []
    for change in found:
        key = (change.alert, str(sorted(change.labels.items())))
        if change.after == FIRING:
            begun[key] = change
        elif change.after == INACTIVE and key in begun:
            first = begun.pop(key)
            lines.append((first.at_ns, _line(first, _time(change.at_ns))))
    lines += [(change.at_ns, _line(change, "goes on")) for change in begun.values()]
    fired = {change.alert for change in found if change.after == FIRING}
    quiet = [name for name in names if name not in fired]
    told = [f"{line}\n" for _, line in sorted(lines)]
    told += [f"would not have fired: {', '.join(quiet)}\n"] if quiet else []
    told += [f"{learning} series are not known well enough yet to tell what is usual\n"] if learning else []
    return "".join(told)


def standing(states: Mapping[str, Any], silences: Silences, now_ns: int) -> str:
    """Tell what is pending or fires, from the file of states."""
    lines = []
    for identity, held in states["rules"].items():
        for _, alert in held:
            if alert["state"] == INACTIVE:
                continue
            since = alert["fired_ns"] or alert["active_ns"]
            quiet = "  (silenced)" if silences.cover(alert["labels"], now_ns) else ""
            group = identity.split("/", 1)[0]
            lines.append(
                f"{alert['state']:<8} {_time(since)}  {group}  {_labels(alert['labels'])}  {alert['value']:.6g}{quiet}"
            )
    asked = f"as of {_time(states['done'])}\n" if states["done"] else "not asked yet\n"
    return "".join(f"{line}\n" for line in sorted(lines)) + asked


def silences(held: Iterable[Silence], now_ns: int) -> str:
    """Tell the silences in force."""
    return "".join(
        f"{one.name}  until {_time(one.until_ns)}  {', '.join(one.match)}  {one.comment}".rstrip() + "\n"
        for one in held
        if one.until_ns > now_ns
    )


def _line(change: Transition, until: str) -> str:
    return f"{_time(change.at_ns)} to {until}  {_labels(change.labels)}  {change.value:.6g}"


def _labels(labels: Texts) -> str:
    rest = ", ".join(f'{name}="{text}"' for name, text in sorted(labels.items()) if name != "alertname")
    return f"{labels['alertname']}{{{rest}}}" if rest else labels["alertname"]


def _time(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"
