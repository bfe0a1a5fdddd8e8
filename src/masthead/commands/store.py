"""`masthead store`: what is done with a store as a whole."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.clickhouse.address import Address, is_address
from masthead.commands import asking, flags
from masthead.config.model import DEFAULT_STORE
from masthead.errors import UsageError
from masthead.sinks import complain
from masthead.store.kinds import Kinds
from masthead.store.layout import hour_of
from masthead.store.ship import Bucket, Target, finished, missing
from masthead.store.snapshot import Snapshot

if TYPE_CHECKING:
    import argparse

    from masthead.store.snapshot import Open

_EPILOG = """
examples:
  masthead store ship s3://logs/gateway-1
  masthead store ship s3://logs/gateway-1 --endpoint https://minio.example:9000 --dry-run
  masthead store init --store clickhouse://masthead@db.example/logs
  masthead store init --store clickhouse://masthead@db.example/logs --cluster main --replicated --print

ship copies finished parts, as they are, to object storage with an S3 interface; what is there
already is left alone, so it can be run again and again, also while a service writes. Nothing
is ever removed there. Credentials come from the environment, as AWS's own tools read them.

init makes the tables of a ClickHouse database where they are missing, adds columns that they
lack, and sets how long rows are kept ([retention]); it can be run again and again.
"""
# How often progress is told.
_TELL_SECONDS = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    what = "ship: copy finished parts to object storage; init: make the tables of a database"
    parser.add_argument("what", choices=("ship", "init"), help=what)
    parser.add_argument("target", metavar="s3://BUCKET/PREFIX", nargs="?", help="where to ship to")
    ship = parser.add_argument_group("ship")
    ship.add_argument("--endpoint", metavar="URL", help="of another service than Amazon's")
    ship.add_argument("--region", help="default: the environment's, else us-east-1")
    ship.add_argument("--dry-run", action="store_true", help="only tell what would be copied")
    init = parser.add_argument_group("init")
    init.add_argument(
        "--cluster", metavar="NAME", default="", help="on all servers of this cluster, with a table over all"
    )
    init.add_argument("--replicated", action="store_true", help="each shard has replicas (macros {shard}, {replica})")
    init.add_argument("--print", action="store_true", help="only print the statements that make the tables")
    flags.add_config_flag(parser)
    flags.add_flags(parser, "store", asking.STORE)


def execute(parsed: argparse.Namespace) -> int:
    """Do it; 1 where a part is damaged.

    Raises:
        MastheadError: It can't be done.
    """
    return _init(parsed) if parsed.what == "init" else _ship(parsed)


def _init(parsed: argparse.Namespace) -> int:
    from masthead.clickhouse.tables import Layout, made, statements  # noqa: PLC0415 - only for a database

    if parsed.target is not None:
        raise UsageError("init takes no target", parsed.target, "masthead store init --store clickhouse://...")
    config = flags.settings(parsed).config
    layout = Layout(parsed.cluster, parsed.replicated, Kinds.of(config).ages)
    if parsed.print:
        sys.stdout.write("".join(f"{statement};\n\n" for statement in statements(layout)))
        return 0
    if not is_address(config.store.path):
        remedy = "--store clickhouse://user@host/database; a directory needs none of this"
        raise UsageError("init is for a database", config.store.path or None, remedy)
    address = Address.parse(config.store.path, config.store.password_file)
    run = made(address, config.store.ca_file, layout)
    complain(f"{address} is ready ({len(run)} statements)")
    return 0


def _ship(parsed: argparse.Namespace) -> int:
    if parsed.target is None:
        raise UsageError("where to?", None, "masthead store ship s3://bucket/prefix")
    target = Target.parse(parsed.target)
    config = flags.settings(parsed).config
    if is_address(config.store.path):
        raise UsageError("a database has no parts to ship", config.store.path, "name a directory with --store")
    snapshot = Snapshot(Path(config.store.path or DEFAULT_STORE))
    held = {each.part: each for each in snapshot.parts}
    bucket = Bucket(target, parsed.endpoint, parsed.region)
    wanted = missing(finished(held, hour_of(time.time_ns())), bucket.present())
    for problem in snapshot.problems:
        complain(problem)
    if parsed.dry_run:
        total = sum(part.bytes for part in wanted)
        complain(f"{len(wanted):,} parts, {total:,} bytes would be copied to {parsed.target}")
        return 0
    damaged = _copy([held[part] for part in wanted], bucket)
    snapshot.close()
    complain(f"{len(wanted) - damaged:,} parts copied to {parsed.target}")
    return 1 if damaged or snapshot.problems else 0


def _copy(wanted: list[Open], bucket: Bucket) -> int:
    damaged, told_at = 0, time.monotonic()
    for number, held in enumerate(wanted):
        if not bucket.copy(held):
            damaged += 1
            complain(f"{held.part.place}: its bytes are not what was written; not copied")
        if time.monotonic() - told_at > _TELL_SECONDS:
            told_at = time.monotonic()
            complain(f"{number + 1:,} of {len(wanted):,} parts")
    return damaged
