"""`masthead replay`: the calls recorded in pcap or pcapng files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from masthead.commands import flags
from masthead.errors import InputError, OutputError
from masthead.pipeline import Pipeline
from masthead.rules import compile_rules
from masthead.sinks import complain, open_sink
from masthead.sources import ReplaySource

if TYPE_CHECKING:
    import argparse

    from masthead._native import Rules
    from masthead.config import Config
    from masthead.ledger import Ledger
    from masthead.sinks import Sink

_EPILOG = """
examples:
  masthead replay calls.pcapng.gz | jq .url.path
  tcpdump -w - port 8080 | masthead replay -
  masthead replay --output table --status 5xx monday.pcap tuesday.pcap
  SSLKEYLOGFILE=keys.log curl https://...; masthead replay --keylog keys.log calls.pcap

What is damaged in a file is told on standard error and the rest is read all the same;
the exit code is 2 only when nothing could be read. The [output] section of masthead.toml
is the service's and does not count here.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("files", metavar="FILE", nargs="+", help="pcap or pcapng, plain or .gz; - for standard input")
    parser.add_argument(
        "--keylog",
        metavar="FILE",
        action="append",
        default=[],
        help="key log (SSLKEYLOGFILE) that opens the TLS connections of the files; may be given several times",
    )
    parser.add_argument("--ledger", action="store_true", help="print the account at the end, on standard error")
    flags.add_config_flag(parser)
    flags.add_flags(parser, "which calls", (*flags.FILTER_PORTS, *flags.FILTER))
    flags.add_flags(parser, "what is logged", (*flags.SELECTION, *flags.LIMITS))
    flags.add_flags(parser, "redaction", flags.REDACTION)
    flags.add_flags(parser, "output", flags.OUTPUT)


def execute(parsed: argparse.Namespace) -> int:
    """Read the files one after the other into one output."""
    config = flags.settings(parsed, without=("output",)).config
    rules = compile_rules(config, complain)
    sink = open_sink(config.output, reader_may_leave=True)
    accounts: list[Ledger] = []
    for file in parsed.files:
        if sink.gone:
            break
        try:
            accounts.append(_replay(file, parsed.keylog, config, rules, sink))
        except InputError as error:
            complain(str(error))
    sink.close()
    return _conclude(accounts, sink, show=parsed.ledger)


def _replay(file: str, keylogs: list[str], config: Config, rules: Rules, sink: Sink) -> Ledger:
    source = ReplaySource(file, config, rules, keylogs)
    pipeline = Pipeline(source, [sink])
    while pipeline.step(timeout_ms=0) and not pipeline.gone:
        pass
    for problem in source.problems:
        complain(f"{file}: {problem}")
    return pipeline.ledger()


def _conclude(accounts: list[Ledger], sink: Sink, *, show: bool) -> int:
    if not accounts:
        return 0 if sink.gone else 2
    total = accounts[0]
    for account in accounts[1:]:
        total = total.plus(account)
    if show or not total.closed:
        complain(total.text())
    failed = total.counts.get("rows.failed_at_sink", 0)
    if failed and not sink.gone:
        what = f"{failed:,} rows could not be written"
        raise OutputError(what, remedy="the reason is above; make room or choose another --file")
    return 0
