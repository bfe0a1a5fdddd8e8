"""Data for the dashboards: calls of all kinds, and what the other rooms tell, as a busy gateway would have it."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from masthead.alerts import samples as alerts
from masthead.config import Config
from masthead.delivery.account import Account
from masthead.forecast.gauges import Gauges
from masthead.ledger import Ledger
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.store.kinds import Kinds
from masthead.store.writer import Writer
from tests.unit.stored import BEGIN_NS, HOUR, SECOND, Call, batches, call, pairs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from masthead.alerts.evaluation import Evaluation
    from masthead.alerts.notify.desk import Desk
    from masthead.samples import Reading

_HOURS = 3 * 7 * 24
# So many times more calls by day than by night.
_WORKING = 2
_ROUTES = ("/v1/orders/{id}", "/v1/orders", "/v1/chat/completions", None)
_SERVER_STATUSES = (200, 200, 200, 201, 304, 401, 404, 500, 503, None)
_CLIENT_STATUSES = (200, 200, 200, 404, 429, 500, 503, 529, None)
_AGENTS = ("curl/8.5.0", "Mozilla/5.0 (X11; Linux x86_64)", "python-httpx/0.27")
_PROTECTION = (
    ("Strict-Transport-Security", "max-age=31536000"),
    ("Content-Security-Policy", "default-src 'self'"),
    ("X-Content-Type-Options", "nosniff"),
)
_UPSTREAMS = {
    "api.openai.com": (
        ("openai-organization", "org-1"),
        ("x-ratelimit-limit-requests", "5000"),
        ("x-ratelimit-remaining-requests", "4200"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("x-ratelimit-limit-tokens", "160000"),
        ("x-ratelimit-remaining-tokens", "9000"),
        ("x-ratelimit-reset-tokens", "1s"),
    ),
    "api.anthropic.com": (
        ("anthropic-organization-id", "org-2"),
        ("anthropic-ratelimit-input-tokens-limit", "80000"),
        ("anthropic-ratelimit-input-tokens-remaining", "60000"),
        ("anthropic-ratelimit-input-tokens-reset", "2030-01-01T00:00:00Z"),
    ),
    "orders.internal:8080": (("Server", "nginx/1.25.3"), ("x-ratelimit-remaining", "many")),
}


def calls(now_ns: int) -> list[Call]:
    """Make calls that came in and calls that left, with all statuses on all routes and upstreams."""
    served = itertools.product(_ROUTES, _SERVER_STATUSES)
    left = itertools.product(_UPSTREAMS.items(), _CLIENT_STATUSES)
    return [
        *(_served(number, route, status, now_ns) for number, (route, status) in enumerate(served)),
        *(_left(number, name, fields, status, now_ns) for number, ((name, fields), status) in enumerate(left)),
    ]


def _served(number: int, route: str | None, status: int | None, now_ns: int) -> Call:
    request = [("Host", "api.example"), ("User-Agent", _AGENTS[number % 3]), ("Content-Type", "application/json")]
    if number % 3:
        request += [("Authorization", "hmac:41dce0e92286"), ("X-Request-Id", f"r-{number}")]
    if number % 4 == 1:
        request += [("X-Api-Key", "hmac:0011223344ff"), ("traceparent", "00-..."), ("Cookie", "hmac:998877665544")]
    response = [("Server", "nginx/1.25.3"), ("Content-Type", "text/html; charset=utf-8"), *_PROTECTION[: number % 4]]
    if number % 2:
        response += [("Cache-Control", "max-age=60"), ("ETag", '"1"')]
    return {
        **_timed(number, now_ns),
        **_answered(number, status, response),
        "exchange_id": f"in-{number}",
        "route": route,
        "path": route,
        "authority": "api.example",
        "request_fields": pairs(*request),
        "request_head_bytes": 200 + 30 * number,
        "request_body_bytes": 900 * number,
    }


def _left(number: int, name: str, fields: Sequence[tuple[str, str]], status: int | None, now_ns: int) -> Call:
    return {
        **_timed(number, now_ns),
        **_answered(number, status, fields),
        "exchange_id": f"out-{number}",
        "role": "client",
        "authority": name,
        "request_fields": pairs(("Host", name), ("User-Agent", "gateway/2")),
        "request_body_bytes": 500,
    }


def _answered(number: int, status: int | None, fields: Sequence[tuple[str, str]]) -> Call:
    """What a response tells; without one it is not known."""
    if status is None:
        return {"quality": ["no_response"]}
    sizes = {"response_head_bytes": 300 + number, "response_body_bytes": 1_000 * number}
    ttfb = {"ttfb_ns": 10_000_000 * (number % 20 + 1)}
    return {"status": status, "response_fields": pairs(*fields), **sizes, **ttfb}


def _timed(number: int, now_ns: int) -> Call:
    return call(
        number,
        time=now_ns,
        method=("GET", "POST")[number % 2],
        protocol=("http/1.1", "http/2")[number % 5 == 4],
        server_address="10.1.0.5",
        server_port=443,
        duration_ns=25_000_000 * (number % 20 + 1) + (12_000_000_000 if number % 9 == 0 else 0),
        trace_id=f"{number + 1:032x}",
        parent_id=f"{number + 1:016x}",
        trace_flags=1,
    )


class Health:
    """A ledger and the accounts of sinks, growing at each look at them; alerts that fire and are told."""

    def __init__(self) -> None:
        self._looks = itertools.count(1)

    def ledger(self) -> Ledger:
        """Give an account with losses that adds up."""
        looks = next(self._looks)
        counts = {"kernel.seen": 100, "kernel.submitted": 97, "kernel.refused.ring_full": 3, "kernel.refused.busy": 0}
        counts |= {"records.consumed": 97, "records.used": 96, "records.failed.unreadable": 1, "rows.opened": 60}
        counts |= {"rows.written": 50, "rows.open": 4, "rows.filtered": 3, "rows.sampled_out": 2}
        counts |= {"rows.failed_at_sink": 1, "notes.gaps": 1}
        return Ledger({name: count * looks for name, count in counts.items()})

    def accounts(self) -> dict[str, dict[str, float]]:
        """Give two sinks, of which one has a hard time."""
        looks = next(self._looks)
        loki = Account(
            received=50 * looks, sent=40 * looks, attempts=2 * looks, bytes=9_000 * looks, seconds=0.1 * looks
        )
        kafka = Account(50 * looks, 30 * looks, looks, looks, looks, 20 * looks, 5 * looks, looks, 9 * looks, looks / 9)
        return {"loki": loki.counts(), "kafka": kafka.counts()}

    def samples(self) -> list[Reading]:
        """Give the alerts' samples, as their own room makes them."""
        looks = next(self._looks)
        labels = {"alertname": "OrdersFail", "severity": "page", "route": "/v1/orders"}
        alert = SimpleNamespace(state="firing", labels=labels)
        evaluation = SimpleNamespace(
            alerts=lambda: [(None, alert)], overflows=lambda: {"series": looks}, learning=lambda: 2
        )
        desk = SimpleNamespace(counts={("hook", "sent"): looks})
        given = cast("Evaluation", evaluation), cast("Desk", desk)
        return alerts.samples(*given, late=looks, overflowed=0, failed=0)


def history() -> Iterator[Call]:
    """Make three weeks of a route whose errors grow while a quota goes."""
    for hour, number in itertools.product(range(_HOURS), range(10 * _WORKING)):
        if number >= 10 and not 8 <= hour % 24 <= 18:
            continue
        rest = 1_000 - 900 * hour // _HOURS
        told = pairs(("X-RateLimit-Limit-Tokens", "1000"), ("x-ratelimit-remaining-tokens", f"{rest}"))
        yield call(
            hour * 3_600 + 60 + number,
            exchange_id=f"{hour}-{number}",
            route="/v1/orders",
            authority="api.openai.com",
            status=503 if (hour * 7 + number) % 100 < hour // 50 else 200,
            duration_ns=50_000_000 + (hour * 13 + number * 7) % 40 * 1_000_000,
            response_fields=told,
        )


class Forecasts:
    """Forecasts of that history, made once."""

    def __init__(self, folder: Path) -> None:
        now = BEGIN_NS + _HOURS * HOUR + 1_200 * SECOND
        writer = Writer(folder, Kinds.of(Config()), sync_seconds=60, tell=print, clock_ns=lambda: now)
        for batch in batches(list(history())):
            assert writer.write(batch) == 0
        writer.close()
        reader = DuckReader(folder, Limits())
        gauges = Gauges(lambda: now, slos=("error_ratio < 0.05",), routes=1)
        self._found = list(gauges.samples(reader))
        reader.close()

    def samples(self) -> Iterable[Reading]:
        """Give them."""
        return self._found
