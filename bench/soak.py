"""`python -m bench.soak`: masthead under steady load for a while; memory, loss and ledger are watched. Needs root."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import loggers, meters, servers
from bench.children import ChildFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from bench.servers import Nginx

LEG_SECONDS = 10
# What memory may still grow after the first leg has filled buffers and caches.
GROWTH_BYTES = 20_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when memory stayed level, nothing was lost and the ledger closed, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long (at most 120)")
    minutes = min(parser.parse_args(arguments).minutes, 120)
    signal.signal(signal.SIGTERM, _interrupt)
    if os.geteuid() or not shutil.which("wrk") or not shutil.which("nginx"):
        print("soak: needs root, nginx and wrk: make soak", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory(prefix="masthead-soak-") as name, servers.nginx(Path(name) / "nginx") as nginx:
        return _soak(Path(name), nginx, legs=max(2, round(minutes * 60 / LEG_SECONDS)))


def _soak(folder: Path, nginx: Nginx, legs: int) -> int:
    with loggers.masthead(folder, ["--output", "none"]) as logger:
        resident = []
        for number in range(legs):
            answered = servers.requests(nginx.bare, LEG_SECONDS)
            logger.finish()
            resident.append(meters.memory(logger.process.pid).now)
            stamp = time.strftime("%H:%M:%S")
            print(f"{stamp}  {number + 1}/{legs}  {answered:,} exchanges  {resident[-1] / 1e6:.1f} MB", flush=True)
        asked = nginx.requests()
    return _verdict(logger, asked, resident[-1] - resident[0])


def _verdict(logger: loggers.Logger, asked: int, growth: int) -> int:
    rows = logger.rows or 0
    print(logger.said.read_text(encoding="utf-8", errors="replace"))
    print(f"{rows:,} rows of {asked:,} exchanges; memory grew by {growth / 1e6:.1f} MB after the first leg")
    kept = logger.closed and rows >= asked and growth <= GROWTH_BYTES
    print("soak: passed" if kept else "soak: FAILED")
    return 0 if kept else 1


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except ChildFailedError as error:
        print(f"soak: {error}", file=sys.stderr)
        sys.exit(3)
