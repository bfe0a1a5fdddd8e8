"""What DuckDB and ClickHouse say differently, piece by piece; both give the same values."""

from __future__ import annotations

from typing import Protocol


class Dialect(Protocol):
    """The pieces that questions are put together from. Arguments and results are SQL expressions unless said so."""

    name: str
    # Where calls that went wrong are found: all rows, or fewer.
    failed: str

    def literal(self, text: str) -> str:
        """Give a text (no expression) as a literal."""

    def time(self, time_ns: int) -> str:
        """Give a time, nanoseconds since 1970 (a number), as a literal."""

    def minute(self, time: str) -> str:
        """Give the number of whole minutes from 1970 to a time."""

    def number(self, text: str) -> str:
        """Give a text as a float; null where it is no number."""

    def header(self, column: str, name: str) -> str:
        """Give the first value of a field by its name (a text), whatever its case; null where there is none."""

    def header_all(self, column: str, name: str) -> str:
        """Give the list of all its values, in order."""

    def quantile(self, value: str, share: float) -> str:
        """Give a quantile, interpolated between neighbours (R-7), as a float; null without values."""

    def count_where(self, condition: str) -> str:
        """Count the rows of the group for which a condition holds; null counts as no."""

    def sum_where(self, value: str, condition: str) -> str:
        """Sum a value over the rows of the group for which a condition holds; 0 where none does."""

    def fields(self, column: str) -> str:
        """Give the FROM item that makes a row `field_name`, `field_value` of each field of a list column.

        It stands behind `FROM table`.
        """

    def names(self, column: str) -> str:
        """Give the names of a list of fields, as a list."""

    def each_name(self, names: str) -> str:
        """Give the FROM item that makes a row `field_name` of each name in a list, lowercase and once.

        It stands behind `FROM table`.
        """

    def collect_where(self, value: str, condition: str, most: int) -> str:
        """Give the values of a group for which a condition holds, in alphabetical order, at most so many."""

    def or_empty(self, value: str) -> str:
        """Give a list, and an empty one for null."""

    def has(self, value: str, text: str) -> str:
        """Tell whether a list of texts holds a text (no expression)."""

    def latest(self, value: str) -> str:
        """Give the value of the group's last row by time; of several, the greatest."""

    def join(self, value: str, separator: str) -> str:
        """Join a list of texts."""

    def matches(self, value: str, pattern: str) -> str:
        """Tell whether a value matches a glob (a text): `*` any run, `?` one character."""


class Duck:
    """DuckDB."""

    name = "duckdb"
    failed = "failed_exchanges"

    def literal(self, text: str) -> str:
        """Give a literal."""
        return "'" + text.replace("'", "''") + "'"

    def time(self, time_ns: int) -> str:
        """Give a literal of TIMESTAMP_NS."""
        return f"make_timestamp_ns({time_ns})"

    def minute(self, time: str) -> str:
        """Divide its nanoseconds."""
        return f"(epoch_ns({time}) // 60000000000)"

    def number(self, text: str) -> str:
        """Cast what can be cast."""
        return f"TRY_CAST({text} AS DOUBLE)"

    def header(self, column: str, name: str) -> str:
        """Give the macro's call; `duck.MACROS` defines it."""
        return f"header({column}, {self.literal(name)})"

    def header_all(self, column: str, name: str) -> str:
        """Give the macro's call."""
        return f"header_all({column}, {self.literal(name)})"

    def quantile(self, value: str, share: float) -> str:
        """Give an exact quantile."""
        return f"quantile_cont({value}, {share})"

    def count_where(self, condition: str) -> str:
        """Count with a filter."""
        return f"count(*) FILTER ({condition})"

    def sum_where(self, value: str, condition: str) -> str:
        """Sum with a filter."""
        return f"coalesce(sum({value}) FILTER ({condition}), 0)"

    def fields(self, column: str) -> str:
        """Unnest the list."""
        return (
            f", unnest({column}) AS list(field), LATERAL (SELECT field.name AS field_name, field.value AS field_value)"
        )

    def names(self, column: str) -> str:
        """Transform the list."""
        return f"list_transform({column}, lambda f: f.name)"

    def each_name(self, names: str) -> str:
        """Unnest the names, each once."""
        return f", unnest(list_distinct(list_transform({names}, lambda n: lower(n)))) AS list(field_name)"

    def collect_where(self, value: str, condition: str, most: int) -> str:
        """Collect with a filter, sort and cut."""
        return self.or_empty(f"list_sort(list({value}) FILTER ({condition}))[:{most}]")

    def or_empty(self, value: str) -> str:
        """Put an empty list for null."""
        return f"coalesce({value}, [])"

    def has(self, value: str, text: str) -> str:
        """Look into the list."""
        return f"list_contains({value}, {self.literal(text)})"

    def latest(self, value: str) -> str:
        """Order by a row of both."""
        return f"arg_max({value}, (time, {value}))"

    def join(self, value: str, separator: str) -> str:
        """Join."""
        return f"array_to_string({value}, {self.literal(separator)})"

    def matches(self, value: str, pattern: str) -> str:
        """Compare with GLOB, whose brackets are escaped; a text without wildcards is looked for faster."""
        if not set("*?") & set(pattern):
            return f"({value} = {self.literal(pattern)})"
        return f"({value} GLOB {self.literal(pattern.replace('[', '[[]'))})"


class ClickHouse:
    """ClickHouse."""

    name = "clickhouse"
    failed = "exchanges"

    def literal(self, text: str) -> str:
        """Give a literal; a backslash escapes there."""
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    def time(self, time_ns: int) -> str:
        """Give a DateTime64 with nanoseconds."""
        return f"fromUnixTimestamp64Nano(toInt64({time_ns}), 'UTC')"

    def minute(self, time: str) -> str:
        """Divide its nanoseconds."""
        return f"intDiv(toUnixTimestamp64Nano({time}), 60000000000)"

    def number(self, text: str) -> str:
        """Read it; blanks around it don't matter, as for DuckDB."""
        return f"toFloat64OrNull(trimBoth({text}))"

    def header(self, column: str, name: str) -> str:
        """Take the first one; its alias keeps the column's name short."""
        call = f"{'req' if column.startswith('request') else 'resp'}('{name}')"
        return f"(arrayElementOrNull({self._values(column, name)}, 1) AS {_quoted(call)})"

    def header_all(self, column: str, name: str) -> str:
        """Take all."""
        call = f"{'req_all' if column.startswith('request') else 'resp_all'}('{name}')"
        return f"({self._values(column, name)} AS {_quoted(call)})"

    def quantile(self, value: str, share: float) -> str:
        """Give an exact quantile."""
        return f"quantileExactInclusiveOrNull({share})({value})"

    def count_where(self, condition: str) -> str:
        """Count with a filter."""
        return f"countIf({condition})"

    def sum_where(self, value: str, condition: str) -> str:
        """Sum with a filter."""
        return f"ifNull(sumIf({value}, {condition}), 0)"

    def fields(self, column: str) -> str:
        """Join with the list."""
        return f" ARRAY JOIN {column}.name AS field_name, {column}.value AS field_value"

    def names(self, column: str) -> str:
        """Take the part of the tuples."""
        return f"{column}.name"

    def each_name(self, names: str) -> str:
        """Join with the names, each once."""
        return f" ARRAY JOIN arrayDistinct(arrayMap(n -> lower(n), {names})) AS field_name"

    def collect_where(self, value: str, condition: str, most: int) -> str:
        """Collect with a filter, sort and cut."""
        return f"arraySlice(arraySort(groupArrayIf({value}, {condition})), 1, {most})"

    def or_empty(self, value: str) -> str:
        """Give it as it is: a list is never null there."""
        return value

    def has(self, value: str, text: str) -> str:
        """Look into the list."""
        return f"has({value}, {self.literal(text)})"

    def latest(self, value: str) -> str:
        """Order by a tuple of both."""
        return f"argMax({value}, (time, {value}))"

    def join(self, value: str, separator: str) -> str:
        """Join."""
        return f"arrayStringConcat({value}, {self.literal(separator)})"

    def matches(self, value: str, pattern: str) -> str:
        """Compare with a regular expression made from the glob."""
        return f"match({value}, {self.literal(_regular(pattern))})"

    def _values(self, column: str, name: str) -> str:
        chosen = f"arrayFilter(f -> ifNull(lower(f.name) = {self.literal(name.lower())}, 0), {column})"
        return f"arrayMap(f -> f.value, {chosen})"


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _regular(glob: str) -> str:
    special = set(r"\.+()[]{}^$|")
    body = "".join({"*": ".*", "?": "."}.get(mark, f"\\{mark}" if mark in special else mark) for mark in glob)
    return f"(?s)^{body}$"
