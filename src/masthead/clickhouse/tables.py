"""The tables: one for the rows, a view of those that went wrong, and on a cluster one that reaches every shard.

**Keys.** Questions name a time and often a route, so rows lie by hour, role, route and time; a partition is a day.
Dictionary columns are `LowCardinality`. A load that comes twice with one token is kept once
(`non_replicated_deduplication_window`; replicated tables do so by themselves).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.clickhouse.client import Client, DatabaseError
from masthead.errors import StoreError
from masthead.schema import COLUMNS, WORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from masthead.clickhouse.address import Address

# The version of the columns, in the table's comment: a table of a newer one is left alone.
VERSION = 1
TABLE = "exchanges"
LOCAL = "exchanges_local"
FAILED = "failed_exchanges"
# Loads whose tokens are remembered: hours of them.
REMEMBERED_LOADS = 10_000

_COMMENT = re.compile(r"masthead (\d+)")
_SCALARS = {
    "utf8": "Nullable(String)",
    WORD: "LowCardinality(Nullable(String))",
    "uint8": "Nullable(UInt8)",
    "uint16": "Nullable(UInt16)",
    "uint32": "Nullable(UInt32)",
    "uint64": "Nullable(UInt64)",
    "int64": "Nullable(Int64)",
    "float64": "Nullable(Float64)",
}
_FIELDS = "Array(Tuple(name LowCardinality(Nullable(String)), value Nullable(String)))"
_LISTS = {
    "request_fields": _FIELDS,
    "response_fields": _FIELDS,
    "request_trailers": _FIELDS,
    "response_trailers": _FIELDS,
    "interim": f"Array(Tuple(status UInt16, fields {_FIELDS}))",
    "quality": "Array(LowCardinality(String))",
}
# Columns that are never null, and numbers that come in rising order.
_NEVER_NULL = {"time": "DateTime64(9, 'UTC')", "exchange_id": "String", "sample_weight": "Float64"}
_CODECS = {"time": "CODEC(Delta, ZSTD)", "exchange_id": "CODEC(ZSTD)"}


@dataclass(frozen=True, slots=True)
class Layout:
    """How the tables lie.

    Attributes:
        cluster: The name of the cluster; empty: one server.
        replicated: Whether each shard has replicas (macros `{shard}` and `{replica}` are then set on the servers).
        ages: How long each class of rows is kept, seconds; `None`: for ever.
    """

    cluster: str = ""
    replicated: bool = False
    ages: Mapping[str, float | None] | None = None

    @property
    def local(self) -> str:
        """The table that holds rows."""
        return LOCAL if self.cluster else TABLE


def columns() -> dict[str, str]:
    """Give name and type of every column."""
    kinds = {column.name: _kind(column.name, column.type) for column in COLUMNS}
    return {**kinds, "host": "LowCardinality(String)", "class": "LowCardinality(String)"}


def statements(layout: Layout) -> list[str]:
    """Give what makes the tables where they are missing."""
    on = _on(layout)
    listed = ",\n    ".join(f"{name} {kind} {_CODECS.get(name, '')}".rstrip() for name, kind in columns().items())
    path = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
    engine = f"ReplicatedMergeTree({path})" if layout.replicated else "MergeTree"
    window = "" if layout.replicated else f", non_replicated_deduplication_window = {REMEMBERED_LOADS}"
    ttl = _ttl(layout)
    rows = (
        f"CREATE TABLE IF NOT EXISTS {layout.local}{on} (\n    {listed}\n)\n"
        f"ENGINE = {engine}\n"
        "PARTITION BY toDate(time)\n"
        "ORDER BY (toStartOfHour(time), role, route, time)\n"
        f"{f'TTL {ttl}' + chr(10) if ttl else ''}"
        f"SETTINGS allow_nullable_key = 1{window}\n"
        f"COMMENT 'masthead {VERSION}'"
    )
    made = [rows]
    if layout.cluster:
        made.append(
            f"CREATE TABLE IF NOT EXISTS {TABLE}{on} AS {LOCAL}\n"
            f"ENGINE = Distributed('{layout.cluster}', currentDatabase(), {LOCAL}, cityHash64(host))"
        )
    made.append(f"CREATE OR REPLACE VIEW {FAILED}{on} AS SELECT * FROM {TABLE} WHERE class = 'errors'")
    return made


def initialise(client: Client, layout: Layout) -> list[str]:
    """Make the tables, add and widen the columns that need it, set how long rows are kept; gives what was run.

    Raises:
        DatabaseError: A statement failed.
        StoreError: The table is of a newer version; it is left as it is.
    """
    check_version(client, layout.local)
    run = [*statements(layout)]
    for statement in run:
        client.execute(statement)
    more = [*_migrations(client, layout), *_retention(client, layout)]
    for statement in more:
        client.execute(statement)
    return [*run, *more]


def made(address: Address, ca_file: str, layout: Layout) -> list[str]:
    """Make the tables of a database; gives what was run.

    Raises:
        StoreError: It can't be done.
    """
    client = Client(address, ca_file)
    try:
        return initialise(client, layout)
    except DatabaseError as error:
        remedy = "check the address, the user's rights (CREATE TABLE, CREATE VIEW, ALTER) and that the database exists"
        raise StoreError(str(error), str(address), remedy) from error
    finally:
        client.close()


def check_version(client: Client, table: str) -> None:
    """Refuse a table that a newer version has made.

    Raises:
        DatabaseError: Nobody answers.
        StoreError: It is newer.
    """
    sql = f"SELECT comment FROM system.tables WHERE database = currentDatabase() AND name = '{table}' FORMAT TSV"
    found = _COMMENT.fullmatch(client.execute(sql).strip())
    if found and int(found[1]) > VERSION:
        what = f"the table {table} is of version {found[1]}; this masthead knows {VERSION}"
        raise StoreError(what, str(client.address), "use the newer masthead, or another database")


def _migrations(client: Client, layout: Layout) -> Iterator[str]:
    for table in dict.fromkeys((layout.local, TABLE)):
        where = f"database = currentDatabase() AND table = '{table}'"
        found = client.execute(f"SELECT name, type FROM system.columns WHERE {where} FORMAT TSVRaw").splitlines()
        present = dict(line.split("\t", 1) for line in found)
        before = ""
        for name, kind in columns().items():
            if name not in present:
                place = f" AFTER {before}" if before else " FIRST"
                yield f"ALTER TABLE {table}{_on(layout)} ADD COLUMN IF NOT EXISTS {name} {kind}{place}"
            elif name in _LISTS and "Tuple" in kind and "Nullable" not in present[name]:
                # Before HTTP/2 a field always had a name and a value. The server rewrites old rows in the background.
                yield f"ALTER TABLE {table}{_on(layout)} MODIFY COLUMN {name} {kind}"
            before = name


def _retention(client: Client, layout: Layout) -> Iterator[str]:
    ttl, table = _ttl(layout), f"{layout.local}{_on(layout)}"
    where = f"database = currentDatabase() AND name = '{layout.local}'"
    if ttl:
        yield f"ALTER TABLE {table} MODIFY TTL {ttl}"
    elif " TTL " in client.execute(f"SELECT engine_full FROM system.tables WHERE {where} FORMAT TSV"):
        yield f"ALTER TABLE {table} REMOVE TTL"


def _ttl(layout: Layout) -> str:
    return ", ".join(
        f"toDateTime(time) + toIntervalSecond({int(age)}) DELETE WHERE class = '{name}'"
        for name, age in (layout.ages or {}).items()
        if age is not None
    )


def _on(layout: Layout) -> str:
    return f" ON CLUSTER '{layout.cluster}'" if layout.cluster else ""


def _kind(name: str, arrow: str) -> str:
    return _NEVER_NULL.get(name) or _LISTS.get(name) or _SCALARS[arrow]
