"""From the settings to alerts that run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from masthead.alerts.evaluation import Evaluation
from masthead.alerts.memory import Memory
from masthead.alerts.notify.desk import Desk
from masthead.alerts.notify.post import Couriers
from masthead.alerts.notify.receivers import addressees, receivers
from masthead.alerts.notify.silences import Silences, of_settings
from masthead.alerts.rules import read_rules
from masthead.alerts.sink import AlertsSink
from masthead.config.alerts import time_zone
from masthead.config.units import age_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from masthead.alerts.rules import Ready
    from masthead.config.alerts import Alerts


def open_alerts(settings: Alerts, tell: Callable[[str], None]) -> AlertsSink | None:
    """Open the alerts that the settings ask for, not yet started; `None` where there are no rules.

    Raises:
        ConfigError: A rule can't be used, or there is no place for states.
    """
    if not settings.rules:
        return None
    rules = read_rules(settings.rules)
    if not rules:
        tell(f"alerts: no file of rules is found at {', '.join(settings.rules)}")
    evaluation = new_evaluation(settings, rules)
    memory = Memory(Path(settings.state), tell)
    return AlertsSink(evaluation, memory, open_desk(settings, tell), grace_ns=_ns(settings.grace), tell=tell)


def new_evaluation(settings: Alerts, rules: Sequence[Ready]) -> Evaluation:
    """Give rules in force, as the settings have them asked."""
    return Evaluation(rules, _ns(settings.interval), time_zone(settings.timezone))


def open_desk(settings: Alerts, tell: Callable[[str], None]) -> Desk:
    """Open the desk with its receivers."""
    couriers = Couriers(receivers(settings), tell)
    held = silences(settings, tell)
    return Desk(addressees(settings), couriers, held, settings.external_labels, settings.external_url)


def silences(settings: Alerts, tell: Callable[[str], None]) -> Silences:
    """Give the silences in force."""
    return Silences(Path(settings.state) / "silences.json", of_settings(settings), tell)


def _ns(age: str) -> int:
    return round((age_seconds(age) or 0) * 1e9)
