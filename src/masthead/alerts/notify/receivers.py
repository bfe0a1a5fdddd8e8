"""From the settings to receivers, and to what the desk knows of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.alerts.notify.alertmanager import RESEND_NS, Alertmanager
from masthead.alerts.notify.desk import Addressee, Timing
from masthead.alerts.notify.program import Program
from masthead.alerts.notify.slack import Slack
from masthead.alerts.notify.smtp import Smtp
from masthead.alerts.notify.webhook import Webhook
from masthead.config.units import age_seconds

if TYPE_CHECKING:
    from masthead.alerts.notify.post import Receiver
    from masthead.config.alerts import Alerts

_NEVER_NS = 1 << 62


def receivers(settings: Alerts) -> dict[str, Receiver]:
    """Give every receiver by name."""
    return {
        **{one.name: Alertmanager(one) for one in settings.alertmanager},
        **{one.name: Webhook(one) for one in settings.webhook},
        **{one.name: Slack(one) for one in settings.slack},
        **{one.name: Smtp(one) for one in settings.smtp},
        **{one.name: Program(one) for one in settings.exec},
    }


def addressees(settings: Alerts) -> list[Addressee]:
    """Give what the desk knows of them."""
    wait_ns, interval_ns, repeat_ns = map(_ns, (settings.group_wait, settings.group_interval, settings.repeat_interval))
    usual = Timing(settings.group_by, wait_ns, interval_ns, repeat_ns)
    # Alertmanager groups by itself, and takes an alert that it does not hear of for one that is over.
    direct = Timing(None, 0, RESEND_NS, RESEND_NS, eager=True)
    own = {one.name for one in settings.alertmanager}
    return [
        Addressee(one.name, one.match, one.send_resolved, direct if one.name in own else usual)
        for one in settings.receivers()
    ]


def _ns(age: str) -> int:
    seconds = age_seconds(age)
    return _NEVER_NS if seconds is None else round(seconds * 1e9)
