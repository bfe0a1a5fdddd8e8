"""`python -m bench`: runs the trials, prints the tables, writes bench/results/latest.json. Needs root."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import http2, report, times, tls, trials
from bench.children import ChildFailedError
from bench.loggers import MASTHEAD
from bench.report import Report
from bench.trials import Plan, tell

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

RESULTS = Path(__file__).parent / "results" / "latest.json"


def _http(plan: Plan, found: Report) -> None:
    found.http(trials.http(plan))


def _http2(plan: Plan, found: Report) -> None:
    found.http2(http2.costs(plan.folder, plan.few, 100_000))


def _tls(plan: Plan, found: Report) -> None:
    found.tls(tls.looks(plan.folder, plan.few, 20_000))


def _times(plan: Plan, found: Report) -> None:
    found.times(times.times(plan.folder, plan.few))


def _others(plan: Plan, found: Report) -> None:
    found.others(trials.others(plan))


def _redis(plan: Plan, found: Report) -> None:
    pairs, programs_us = trials.redis(plan)
    found.loss("unpipelined Redis SET: lost rate", pairs, report.REDIS_LOSS, f" ({programs_us:.2f} us in programs)")


def _bulk(plan: Plan, found: Report) -> None:
    found.loss("bulk transfer, not HTTP: lost rate", trials.bulk(plan), report.BULK_LOSS)
    found.loss("large HTTP answers by sendfile: lost rate", trials.large(plan), None)


def _replay(plan: Plan, found: Report) -> None:
    found.replay(trials.replay(plan))


def _first(plan: Plan, found: Report) -> None:
    found.first_line(trials.first_line(plan))


def _questions(plan: Plan, found: Report) -> None:
    found.questions(trials.questions(plan), plan.history)


# Name, what it needs besides nginx and wrk, and what it does.
TRIALS: dict[str, tuple[tuple[str, ...], Callable[[Plan, Report], None]]] = {
    "http": ((), _http),
    "http2": (("nghttpd", "h2load"), _http2),
    "tls": (("nghttpd", "h2load", "openssl"), _tls),
    "times": (("openssl",), _times),
    "others": (("tcpdump", "httpry", "tshark"), _others),
    "redis": (("redis-server", "redis-benchmark"), _redis),
    "bulk": ((), _bulk),
    "replay": ((), _replay),
    "first": ((), _first),
    "questions": ((), _questions),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 0 when everything ran, whatever the figures, 3 when something could not."""
    asked = _arguments(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    if os.geteuid():
        return _refuse("loading programs into the kernel needs root: sudo make bench")
    missing = [name for name in ("nginx", "wrk", str(MASTHEAD)) if not shutil.which(name)]
    if missing:
        return _refuse(f"missing: {', '.join(missing)}; make bench installs them")
    with tempfile.TemporaryDirectory(prefix="masthead-bench-") as folder:
        found, failed = _run(asked.only or list(TRIALS), _plan(Path(folder), quick=asked.quick))
    found.print()
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**_machine(), **found.figures}, indent=1), encoding="utf-8")
    print(RESULTS)
    return 3 if failed else 0


def _run(names: Sequence[str], plan: Plan) -> tuple[Report, bool]:
    found, failed = Report(), False
    for name in names:
        needs, trial = TRIALS[name]
        missing = [command for command in needs if not shutil.which(command)]
        if missing:
            tell(f"{name}: skipped, {', '.join(missing)} not found")
            continue
        print(f"{name}:", flush=True)
        try:
            trial(plan, found)
        except ChildFailedError as error:
            failed = True
            tell(f"FAILED: {error}")
            shutil.rmtree(plan.folder)
            plan.folder.mkdir()
    return found, failed


def _plan(folder: Path, *, quick: bool) -> Plan:
    if quick:
        return Plan(rounds=3, few=1, seconds=1, recorded=100_000, history=1_000_000, folder=folder)
    return Plan(rounds=10, few=3, seconds=2, recorded=300_000, history=10_000_000, folder=folder)


def _machine() -> dict[str, object]:
    return {
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "processors": os.cpu_count(),
    }


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds: a look, no result")
    parser.add_argument("--only", action="append", choices=TRIALS, help="only this trial (repeatable)")
    return parser.parse_args(arguments)


def _refuse(reason: str) -> int:
    print(f"bench: {reason}", file=sys.stderr)
    return 3


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
