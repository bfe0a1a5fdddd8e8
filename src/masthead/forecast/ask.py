"""What is asked of a forecast, read from words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from masthead.errors import UsageError
from masthead.forecast.limits import Limit
from masthead.forecast.series import METRICS

if TYPE_CHECKING:
    from masthead.query.questions.scope import Scope

STEPS = (5, 10, 15, 30, 60)


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for.

    Attributes:
        metric: A key of `METRICS`.
        scope: Which calls; the limit is the number of routes.
        now_ns: The end of the history, nanoseconds since 1970.
        ahead_hours: How far to look.
        minutes: Length of a step.
        limit: What should hold.
    """

    metric: str
    scope: Scope
    now_ns: int
    ahead_hours: float = 24.0
    minutes: int = 60
    limit: Limit | None = None


def read(  # noqa: PLR0913 - each by its name
    metric: str, slo: str, scope: Scope, now_ns: int, *, ahead_hours: float = 24.0, minutes: int = 60
) -> Ask:
    """Put together what was asked for.

    Args:
        metric: A key of `METRICS`; empty: the one that the limit names, else `rate`.
        slo: A limit, such as `error_ratio < 0.01`; may be empty.
        scope: Which calls. Its end, where it has one, is now; without a role it is the server's end, and
            of quotas both: calls to a provider leave this host, or pass a gateway that shows the provider's fields.
        now_ns: The time, nanoseconds since 1970.
        ahead_hours: How far to look.
        minutes: Length of a step: 5, 10, 15, 30 or 60.

    Raises:
        UsageError: There is no such thing, or it does not go together.
    """
    names = {known.name: key for key, known in METRICS.items()}
    limit = Limit.parse(slo, names) if slo else None
    metric = metric or (names[limit.metric] if limit else "rate")
    if metric not in METRICS:
        raise UsageError(f'"{metric}" can\'t be forecast', "metric", f"there are {', '.join(METRICS)}")
    if limit and limit.metric != METRICS[metric].name:
        raise UsageError(f'"{limit}" says nothing of {metric}', "--slo", f"write {METRICS[metric].name} < ...")
    if minutes not in STEPS or ahead_hours <= 0:
        remedy = f"steps of {', '.join(map(str, STEPS))} minutes, and a time ahead of more than 0"
        raise UsageError(f"{minutes} minutes for {ahead_hours:g} hours can't be forecast", "--step", remedy)
    role = scope.role or ("both" if metric == "quota" else "server")
    return Ask(metric, replace(scope, role=role), scope.until_ns or now_ns, ahead_hours, minutes, limit)
