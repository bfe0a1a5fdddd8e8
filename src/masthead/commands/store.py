"""`masthead store`: what is done with a store as a whole."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.commands import asking, flags
from masthead.config.model import DEFAULT_STORE
from masthead.sinks import complain
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

ship copies finished parts, as they are, to object storage with an S3 interface; what is there
already is left alone, so it can be run again and again, also while a service writes. Nothing
is ever removed there. Credentials come from the environment, as AWS's own tools read them.
"""
# How often progress is told.
_TELL_SECONDS = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("what", choices=("ship",), help="ship: copy finished parts to object storage")
    parser.add_argument("target", metavar="s3://BUCKET/PREFIX", help="where to")
    parser.add_argument("--endpoint", metavar="URL", help="of another service than Amazon's")
    parser.add_argument("--region", help="default: the environment's, else us-east-1")
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be copied")
    flags.add_config_flag(parser)
    flags.add_flags(parser, "store", asking.STORE)


def execute(parsed: argparse.Namespace) -> int:
    """Copy what is finished and not there yet; 1 where a part is damaged."""
    target = Target.parse(parsed.target)
    config = flags.settings(parsed).config
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
