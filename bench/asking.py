"""Questions about a long history, timed: as commands, with the start of Python, and in a process that is warm."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from bench.children import ChildFailedError
from bench.loggers import MASTHEAD
from masthead.query.duck import DuckReader
from masthead.query.limits import Limits
from masthead.query.questions.calls import each_error
from masthead.query.questions.scope import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The second most called route, and one tenant in a thousand.
ROUTE = "/v1/orders/{id}/r1"
ERRORS = Scope(route=ROUTE, where="req('x-tenant') = 'tenant-7'")
BY_ROUTE = "SELECT route, count(*), quantile_cont(duration_ns, 0.95) FROM exchanges GROUP BY route"

# Seconds, by question.
BUDGETS = {
    "group by route, exact p95": 1.0,
    "the last 100 errors of a route with a header": 0.2,
    "the same as a command": 0.3,
    "first row of masthead query": 0.3,
}


def asked(root: Path) -> Iterator[tuple[str, float]]:
    """Ask each question once; gives its name and seconds."""
    names = iter(BUDGETS)
    reader = DuckReader(root, Limits(threads=2))
    for sql in (BY_ROUTE, each_error(reader.dialect, ERRORS)):
        began = time.perf_counter()
        reader.ask(sql).rows()
        yield next(names), time.perf_counter() - began
    reader.close()
    yield next(names), _command(root)
    yield next(names), _first_row(root)


def _command(root: Path) -> float:
    began = time.perf_counter()
    flags = ["--since", "forever", "--route", ROUTE, "--where", ERRORS.where]
    done = subprocess.run([MASTHEAD, "errors", "--each", "--store", root, *flags], capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise ChildFailedError(f"masthead errors: {done.stderr.decode(errors='replace')}")
    return time.perf_counter() - began


def _first_row(root: Path) -> float:
    """From the start of the command to the first row of an answer that would be all rows."""
    began = time.perf_counter()
    command = [str(MASTHEAD), "query", "--store", str(root), "--output", "ndjson", "SELECT * FROM exchanges"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        first = child.stdout.readline() if child.stdout else b""
        took = time.perf_counter() - began
        # Its reader leaves, as `| head -1` does.
        if child.stdout:
            child.stdout.close()
        if not first:
            raise ChildFailedError("masthead query gave no row")
    return took
