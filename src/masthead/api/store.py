"""The Python interface behind `masthead.open`: a store and the questions that can be asked."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self, TypeAlias, cast

from masthead.api.live import read_settings
from masthead.config.model import DEFAULT_STORE
from masthead.query.open import open_reader
from masthead.query.questions import calls, fields
from masthead.query.questions.scope import Scope
from masthead.query.times import read_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from duckdb import DuckDBPyRelation

    from masthead.config import Config

# `"15m"` (ago), `"2026-11-24T03:00"` (UTC) or a datetime; one without an offset is UTC.
When: TypeAlias = str | datetime
_ALL = 1 << 62


class Store:
    """What was logged, as it was when this was opened; a context manager that closes it.

    Answers are DuckDB relations, worked out when they are used: `.df()` gives pandas, `.pl()` polars, `.arrow()`
    pyarrow (where these are installed), `.fetchall()` tuples. Whatever speaks the Arrow PyCapsule interface takes them
    as they are: `polars.DataFrame(store.routes())`. Times are UTC, durations of whole calls nanoseconds.

    Args:
        place: Where it is.
        config: What a query may take.
    """

    def __init__(self, place: str, config: Config) -> None:
        self._reader = open_reader(place, config)

    def __enter__(self) -> Self:
        """Give itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the files; relations that were not used yet can't be any more."""
        self._reader.close()

    @property
    def problems(self) -> list[str]:
        """What of the store could not be read and is left out, one line each."""
        return self._reader.problems

    def check(self) -> list[str]:
        """Read every part whole and leave the damaged ones out from now on; gives `problems`."""
        self._reader.recheck()
        return self.problems

    def sql(self, query: str) -> DuckDBPyRelation:
        """Answer a query over the view `exchanges`, whose columns `masthead.schema.COLUMNS` lists.

        Args:
            query: SQL, with `req('NAME')` and `resp('NAME')` for the first value of a header field, `req_all` and
                `resp_all` for the list of all, `ago('15m')` for a time.

        Raises:
            masthead.errors.QueryError: The query is wrong.
        """
        return cast("DuckDBPyRelation", self._reader.relation(query))

    def exchanges(  # noqa: PLR0913 - each by its name
        self,
        *,
        since: When | None = None,
        until: When | None = None,
        where: str = "",
        role: str = "both",
        route: str = "",
        limit: int | None = None,
    ) -> DuckDBPyRelation:
        """Give whole rows, in no order.

        Args:
            since: From when on; without it, from the beginning.
            until: Before when.
            where: A condition in SQL, with the same short forms.
            role: `server`, `client` or `both`.
            route: A glob for the route.
            limit: At most so many.

        Raises:
            masthead.errors.QueryError: The condition is wrong.
            masthead.errors.UsageError: A time can't be read.
        """
        scope = _scope(since, until, where=where, role=role, route=route, limit=limit)
        condition = scope.condition(self._reader.dialect)
        return self.sql(f"SELECT * FROM exchanges WHERE {condition} LIMIT {scope.limit}")

    def routes(self, *, since: When | None = None, until: When | None = None, **which: object) -> DuckDBPyRelation:
        """Tell what is called, how often, how fast, how well (`masthead.query.questions.calls.routes` has the columns).

        Args:
            since: From when on.
            until: Before when.
            **which: `where`, `role` (`server` unless said), `route`, `limit`, as `exchanges` has them.
        """
        return self.sql(calls.routes(self._reader.dialect, _scope(since, until, **which)))

    def errors(self, *, since: When | None = None, until: When | None = None, **which: object) -> DuckDBPyRelation:
        """Tell what went wrong, counted (`masthead.query.questions.calls.errors`); arguments as `routes`."""
        return self.sql(calls.errors(self._reader.dialect, _scope(since, until, **which)))

    def slow(self, *, since: When | None = None, until: When | None = None, **which: object) -> DuckDBPyRelation:
        """Give the slowest calls (`masthead.query.questions.calls.slow`); arguments as `routes`."""
        return self.sql(calls.slow(self._reader.dialect, _scope(since, until, **which)))

    def headers(
        self, name: str | None = None, *, since: When | None = None, until: When | None = None, **which: object
    ) -> DuckDBPyRelation:
        """Tell which header fields there are, or the values of one (`masthead.query.questions.fields`).

        Args:
            name: A field's name, in any case; `*` and `?` stand for any characters.
            since: From when on.
            until: Before when.
            **which: As `routes`.
        """
        scope = _scope(since, until, **which)
        if name is None:
            return self.sql(fields.headers(self._reader.dialect, scope))
        return self.sql(fields.values(self._reader.dialect, scope, name))

    def diff(self, before: tuple[When, When], after: tuple[When, When], **which: object) -> DuckDBPyRelation:
        """Tell what changed in the header fields between two spans (`masthead.query.questions.fields.diff`).

        Args:
            before: Begin and end of the first span.
            after: Of the second one.
            **which: As `routes`.
        """
        spans = [(_nanoseconds(begin, "begin"), _nanoseconds(end, "end")) for begin, end in (before, after)]
        return self.sql(fields.diff(self._reader.dialect, _scope(None, None, **which), spans[0], spans[1]))

    def forecast(  # noqa: PLR0913 - each by its name
        self,
        metric: str = "",
        *,
        ahead_hours: float = 24.0,
        slo: str = "",
        minutes: int = 60,
        each: bool = True,
        since: When | None = "28d",
        until: When | None = None,
        **which: object,
    ) -> list[dict[str, object]]:
        """Tell what the next hours and days will bring, by route; needs `masthead[forecast]`.

        Args:
            metric: `rate`, `p95`, `errors` or `quota`; empty: what the limit names, else `rate`.
            ahead_hours: How far to look ahead.
            slo: A limit, such as `error_ratio < 0.01`.
            minutes: Length of a step: 5, 10, 15, 30 or 60.
            each: A row for each step (`masthead.forecast.rows.POINTS`), else one for each route (`SUMMARY`).
            since: From when on history counts.
            until: Now; as if nothing had come after it.
            **which: As `routes`; `limit` is the number of routes, and 20 unless said.

        Returns:
            Rows by column name, for `pandas.DataFrame` or `polars.DataFrame`; times are text (RFC 3339).

        Raises:
            masthead.errors.NotSupportedError: numpy is not installed.
            masthead.errors.UsageError: There is no such metric, limit or step, or they don't go together.
        """
        from masthead.forecast import require  # noqa: PLC0415 - an optional dependency, slow to load

        require()
        from masthead.forecast.ask import read  # noqa: PLC0415
        from masthead.forecast.rows import table  # noqa: PLC0415

        scope = _scope(since, until, **{"limit": 20, "role": "", **which})
        ask = read(metric, slo, scope, time.time_ns(), ahead_hours=ahead_hours, minutes=minutes)
        return table(self._reader, ask, each=each)


def open_store(place: str | None, config: str | None, settings: Mapping[str, object]) -> Store:
    """Open a store; without a place the one of the settings."""
    read = read_settings(config, settings)
    return Store(place or read.store.path or DEFAULT_STORE, read)


def _scope(since: When | None, until: When | None, **which: object) -> Scope:
    times = {
        "since_ns": 0 if since is None else _nanoseconds(since, "since"),
        "until_ns": None if until is None else _nanoseconds(until, "until"),
    }
    limit = which.pop("limit", None)
    return Scope(**times, **which, limit=_ALL if limit is None else limit)  # type: ignore[arg-type]


def _nanoseconds(when: When, name: str) -> int:
    if isinstance(when, str):
        return read_time(when, time.time_ns(), name)
    known = when if when.tzinfo else when.replace(tzinfo=UTC)
    return int(known.replace(microsecond=0).timestamp()) * 1_000_000_000 + known.microsecond * 1_000
