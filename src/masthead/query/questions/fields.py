"""Questions about header fields: which there are, their values, what changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.query.questions.scope import CALLS, Scope, whole, within

if TYPE_CHECKING:
    from collections.abc import Iterable

    from masthead.query.dialect import Dialect

SIDES = ("request", "response")
# Calls whose values are looked at for examples of each field.
SAMPLED_CALLS = 10_000
EXAMPLES = 3
# A field with more values than this varies by nature (a date, an id): other values of it are no news.
FEW_VALUES = 20
# How much the share of calls that carry a field must move to be news.
MOVED = 0.1


def headers(dialect: Dialect, scope: Scope) -> str:
    """Which header fields exist, the most frequent first.

    Columns: `side` (`request` or `response`), `name` (lowercase), `calls` (integer: those that carry it), `share`
    (float, of all calls), `routes` (integer: on how many), `examples` (list of text: the most frequent values among the
    last 10,000 calls, in alphabetical order).
    """
    condition = scope.condition(dialect)
    carried = _carried(dialect, "sum(sample_weight) AS weight", condition)
    return f"""
        SELECT named.side AS side, named.name AS name, {whole("named.weight")} AS calls,
            named.weight / (SELECT sum(sample_weight) FROM exchanges WHERE {condition}) AS share,
            named.routes AS routes, {dialect.or_empty("seen.examples")} AS examples
        FROM (
            SELECT side, name, sum(weight) AS weight, count(DISTINCT route_key) AS routes
            FROM ({carried}) AS carried GROUP BY side, name
        ) AS named
        LEFT JOIN ({_examples(dialect, condition)}) AS seen ON named.side = seen.side AND named.name = seen.name
        ORDER BY calls DESC, side, name LIMIT {scope.limit}
    """


def values(dialect: Dialect, scope: Scope, name: str) -> str:
    """Which values header fields have on which routes, the most frequent first.

    Columns: `side`, `name` (lowercase), `value`, `route` (text), `calls` (integer), `first`, `last` (time).

    Args:
        dialect: What to write.
        scope: Which calls.
        name: The field's name, in any case; `*` and `?` stand for any characters.
    """
    wanted = dialect.matches("lower(field_name)", name.lower())
    fields = _union(
        f"SELECT '{side}' AS side, lower(field_name) AS name, field_value AS value, route, sample_weight, time "
        f"FROM exchanges{dialect.fields(f'{side}_fields')} WHERE {scope.condition(dialect)} AND {wanted}"
        for side in SIDES
    )
    return f"""
        SELECT side, name, value, route, {CALLS} AS calls, min(time) AS first, max(time) AS last
        FROM ({fields}) AS fields
        GROUP BY side, name, value, route
        ORDER BY calls DESC, side, name, value, route NULLS LAST LIMIT {scope.limit}
    """


def diff(dialect: Dialect, scope: Scope, before: tuple[int, int], after: tuple[int, int]) -> str:
    """What changed in the header fields of each route between two spans of time.

    Columns: `change` (`appeared`; `gone`; `values`: another set of values, where there are at most 20; `share`: the
    share of calls that carry it moved by 0.1 or more), `side`, `name` (lowercase), `route` (text, empty where a call
    has none), `share_before`, `share_after` (float, of the route's calls), `values_before`, `values_after` (integers:
    how many), `examples_before`, `examples_after` (lists of text: at most 20 values, in alphabetical order). Only
    routes that were called in both spans are compared.

    Args:
        dialect: What to write.
        scope: Which calls; its times don't count.
        before: Begin and end of the first span, nanoseconds since 1970.
        after: Of the second one.
    """
    spans = {"before": within(dialect, *before), "after": within(dialect, *after)}
    condition = " AND ".join([f"({spans['before']} OR {spans['after']})", *scope.choices(dialect)])
    total = (
        f"SELECT coalesce(route, '') AS route_key, {_weights(dialect, spans)} "
        f"FROM exchanges WHERE {condition} GROUP BY route_key"
    )
    return f"""
        SELECT change, side, name, route, share_before, share_after,
            values_before, values_after, examples_before, examples_after
        FROM (
            SELECT carried.side AS side, carried.name AS name, carried.route_key AS route,
                carried.weight_before / total.weight_before AS share_before,
                carried.weight_after / total.weight_after AS share_after,
                seen.values_before AS values_before, seen.values_after AS values_after,
                seen.examples_before AS examples_before, seen.examples_after AS examples_after,
                CASE WHEN carried.weight_before = 0 THEN 'appeared' WHEN carried.weight_after = 0 THEN 'gone'
                    WHEN seen.values_before <= {FEW_VALUES} AND seen.values_after <= {FEW_VALUES}
                        AND seen.examples_before <> seen.examples_after THEN 'values'
                    WHEN abs(carried.weight_after / total.weight_after - carried.weight_before / total.weight_before)
                        >= {MOVED} THEN 'share'
                    ELSE '' END AS change
            FROM ({_changed(dialect, spans, condition)}) AS carried
            INNER JOIN ({total}) AS total ON carried.route_key = total.route_key
            INNER JOIN ({_seen(dialect, spans, condition)}) AS seen
            ON carried.side = seen.side AND carried.name = seen.name AND carried.route_key = seen.route_key
            WHERE total.weight_before > 0 AND total.weight_after > 0
        ) AS compared
        WHERE change <> '' ORDER BY change, side, name, route LIMIT {scope.limit}
    """


def _carried(dialect: Dialect, weights: str, condition: str) -> str:
    """Give side, lowercase name, route and weights: once for each name in each list of names that calls came with.

    Calls that send one client's list of names are put together first, which leaves little to take apart.
    """
    lists = {
        side: f"SELECT {dialect.names(f'{side}_fields')} AS names, coalesce(route, '') AS route_key, {weights} "
        f"FROM exchanges WHERE {condition} GROUP BY names, route_key"
        for side in SIDES
    }
    return _union(
        f"SELECT '{side}' AS side, field_name AS name, lists.* "
        f"FROM ({found}) AS lists{dialect.each_name('lists.names')}"
        for side, found in lists.items()
    )


def _changed(dialect: Dialect, spans: dict[str, str], condition: str) -> str:
    """How many calls of each route carry each field, in each span."""
    sums = ", ".join(f"sum(weight_{name}) AS weight_{name}" for name in spans)
    carried = _carried(dialect, _weights(dialect, spans), condition)
    return f"SELECT side, name, route_key, {sums} FROM ({carried}) AS carried GROUP BY side, name, route_key"


def _seen(dialect: Dialect, spans: dict[str, str], condition: str) -> str:
    """Which values each field has on each route, in each span."""
    fields = _union(
        f"SELECT '{side}' AS side, lower(field_name) AS name, coalesce(route, '') AS route_key, "
        f"field_value AS value, time "
        f"FROM exchanges{dialect.fields(f'{side}_fields')} WHERE {condition}"
        for side in SIDES
    )
    counted = ", ".join(f"{dialect.count_where(span)} AS calls_{name}" for name, span in spans.items())
    collected = ", ".join(
        f"{dialect.count_where(f'calls_{name} > 0')} AS values_{name}, "
        f"{dialect.collect_where('value', f'calls_{name} > 0', FEW_VALUES)} AS examples_{name}"
        for name in spans
    )
    return f"""
        SELECT side, name, route_key, {collected}
        FROM (
            SELECT side, name, route_key, value, {counted}
            FROM ({fields}) AS fields GROUP BY side, name, route_key, value
        ) AS counted
        GROUP BY side, name, route_key
    """


def _examples(dialect: Dialect, condition: str) -> str:
    """Give the most frequent values of each field among the last calls."""
    last = (
        "SELECT request_fields, response_fields FROM exchanges "
        f"WHERE {condition} ORDER BY time DESC, exchange_id LIMIT {SAMPLED_CALLS}"
    )
    fields = _union(
        f"SELECT '{side}' AS side, lower(field_name) AS name, field_value AS value "
        f"FROM ({last}) AS last{dialect.fields(f'{side}_fields')}"
        for side in SIDES
    )
    return f"""
        SELECT side, name, {dialect.collect_where("value", f"place <= {EXAMPLES}", EXAMPLES)} AS examples
        FROM (
            SELECT side, name, value, row_number() OVER (PARTITION BY side, name ORDER BY calls DESC, value) AS place
            FROM (
                SELECT side, name, value, count(*) AS calls FROM ({fields}) AS fields GROUP BY side, name, value
            ) AS counted
        ) AS ranked
        GROUP BY side, name
    """


def _weights(dialect: Dialect, spans: dict[str, str]) -> str:
    return ", ".join(f"{dialect.sum_where('sample_weight', span)} AS weight_{name}" for name, span in spans.items())


def _union(selects: Iterable[str]) -> str:
    return " UNION ALL ".join(selects)
