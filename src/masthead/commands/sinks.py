"""`masthead sinks`: what is known of the sinks, whether they work, and what their servers need first."""

from __future__ import annotations

import re
import secrets
import sys
import time
from typing import TYPE_CHECKING

from masthead.commands import flags
from masthead.commands.sending import metrics_exporter, prepare, sender, takes_rows
from masthead.config.sinks import File, sink_name
from masthead.delivery import Load, Sent
from masthead.errors import MastheadError, UsageError
from masthead.extension import native
from masthead.rules import compile_rules
from masthead.sinks import complain
from masthead.sinks.plain import plain

if TYPE_CHECKING:
    import argparse

    from masthead._native import Batch
    from masthead.config import Config
    from masthead.config.sinks import Sink

_EPILOG = """
examples:
  masthead sinks list
  masthead sinks test                 sends one made-up call to each: GET /masthead-test
  masthead sinks init elastic         makes index template and lifecycle policy, or tables

Sinks are [[sink]] tables of masthead.toml (docs/sinks.md). Exit code 1: one does not work.
"""
_CALL = b"GET /masthead-test HTTP/1.1\r\nHost: masthead.test\r\nUser-Agent: masthead\r\n\r\n"


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("what", choices=("list", "test", "init"), help="list them, send a call, or prepare servers")
    parser.add_argument("names", metavar="NAME", nargs="*", help="only these; default: all")
    flags.add_config_flag(parser)


def execute(parsed: argparse.Namespace) -> int:
    """Do it for each sink; 1 where one fails."""
    config = flags.settings(parsed).config
    chosen = _chosen(config, parsed.names)
    if parsed.what == "list":
        for sink in chosen:
            sys.stdout.write(f"{sink_name(sink):<20} {sink.kind:<14} {_place(sink)}\n")
        return 0
    work = _test if parsed.what == "test" else _init
    return max((work(config, sink) for sink in chosen), default=0)


def _chosen(config: Config, names: list[str]) -> list[Sink]:
    if not config.sink:
        raise UsageError(
            "there are no sinks", None, "add a [[sink]] table to masthead.toml; docs/sinks.md has examples"
        )
    known = {sink_name(sink): sink for sink in config.sink}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError("there is no such sink", unknown[0], f"there are: {', '.join(known)}")
    return [known[name] for name in names or known]


def _test(config: Config, sink: Sink) -> int:
    if not takes_rows(sink):
        return _test_metrics(sink)
    batch = _made_up(config)
    if isinstance(sink, File):
        # Beside a running service the file is the service's to rotate.
        sink = sink.model_copy(update={"rotate_bytes": "", "rotate_hours": 0.0, "compression": "none"})
    try:
        made = sender(config, sink)
        outcome = made.send(Load(batch, secrets.token_hex(8)))
        made.close()
    except MastheadError as error:
        return _tell(sink, str(error), 1)
    if isinstance(outcome, Sent) and not outcome.refused and not outcome.again:
        return _tell(sink, "took a call: GET /masthead-test", 0)
    return _tell(sink, outcome.reason, 1)


def _test_metrics(sink: Sink) -> int:
    try:
        problem = metrics_exporter(sink)(b"")
    except MastheadError as error:
        problem = str(error)
    if problem:
        return _tell(sink, problem, 1)
    return _tell(sink, "sends metrics alone, no calls: took a request without any", 0)


def _made_up(config: Config) -> Batch:
    """Give a call of now with an id of its own.

    Bytes that were only parsed have no time, and a server may not keep what is that old; an id that it has already is
    no proof that it took anything.
    """
    import duckdb  # noqa: PLC0415 - loaded when asked for

    rules = compile_rules(config, complain)
    (parsed,) = native().parse(_CALL, response=False, rules=rules, max_head_bytes=config.capture.max_head_bytes)
    with duckdb.connect() as connection:
        fresh = f"make_timestamp_ns({time.time_ns()}) AS time, 'test-{secrets.token_hex(8)}' AS exchange_id"
        now = connection.from_arrow(parsed).project(f"* REPLACE ({fresh})")
        made: Batch = next(native().Conformed(now))
    return made


def _init(config: Config, sink: Sink) -> int:
    try:
        done = prepare(config, sink)
    except MastheadError as error:
        return _tell(sink, str(error), 1)
    return _tell(sink, done or "needs nothing", 0)


def _tell(sink: Sink, words: str, code: int) -> int:
    complain(f"{sink_name(sink)}: {plain(words)}")
    return code


def _place(sink: Sink) -> str:
    places = (getattr(sink, name, "") for name in ("url", "brokers", "address", "path"))
    place = next((str(place) for place in places if place), "")
    # Tokens stand in queries, and passwords where they should not.
    return re.sub(r"//.*@", "//***@", place).partition("?")[0]
