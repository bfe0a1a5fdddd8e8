"""The command line: one module for each verb, and the only place that wires the rooms together."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, NoReturn

from masthead.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

VERBS = {
    "run": "log every HTTP call of this host until it is stopped (the service)",
    "tail": "watch the calls live, with filters",
    "replay": "log the calls recorded in pcap or pcapng files; needs no privileges",
    "parse": "parse raw HTTP bytes of one direction from a file",
    "routes": "tell what is called, how often, how fast and how well",
    "errors": "tell what went wrong, by route or call by call",
    "slow": "tell the slowest calls",
    "headers": "tell which header fields there are, and the values of one",
    "diff": "tell what changed in the header fields between two times",
    "forecast": "tell what the next hours and days will bring, and when a limit breaks",
    "query": "ask the store anything in SQL",
    "export": "write calls of the store to a file: NDJSON, Parquet, CSV, HAR",
    "store": "copy finished parts to object storage (ship), make the tables of a database (init)",
    "sinks": "list, test and prepare the servers that rows are sent to",
    "alerts": "check rules, test receivers, tell what fires, silence it",
    "doctor": "tell what this host allows, what is missing, and the remedy",
}
_DESCRIPTION = "Log the header elements of every HTTP call on this host, straight from the kernel."
_EPILOG = """\
begin with:
  sudo masthead doctor                      is this host ready?
  sudo masthead tail                        watch calls as they happen
  sudo masthead run --file calls.ndjson   log them to a file
  sudo masthead run --store DIR             keep them, and ask: masthead routes --store DIR
  masthead replay recording.pcap            no privileges needed

`masthead VERB --help` explains each verb. Exit codes: 0 done, 1 findings, 2 usage or
configuration, 3 not permitted or not supported here.
"""


class Parser(argparse.ArgumentParser):
    """Reports mistakes as the rest of masthead does."""

    def error(self, message: str) -> NoReturn:
        """Refuse a command line."""
        raise UsageError(message, remedy=f"{self.prog} --help explains what there is")


class _ShowVersion(argparse.Action):
    """Looks the version up when it is asked for: that takes as long as a short query."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print it."""
        sys.stdout.write(f"masthead {version()}\n")
        parser.exit()


def execute(arguments: Sequence[str]) -> int:
    """Parse the command line and run its verb; gives the exit code."""
    verb = next((argument for argument in arguments if not argument.startswith("-")), None)
    parser = _parser(verb)
    parsed = parser.parse_args(arguments)
    if parsed.verb is None:
        parser.print_help()
        return 0
    return int(importlib.import_module(f"masthead.commands.{parsed.verb}").execute(parsed))


def _parser(chosen: str | None) -> argparse.ArgumentParser:
    parser = Parser(
        prog="masthead",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, summary in VERBS.items():
        verb = verbs.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        # Only the chosen verb is imported: `masthead --help` should not wait for validation or colours.
        if name == chosen:
            importlib.import_module(f"masthead.commands.{name}").configure(verb)
    return parser


def version() -> str:
    """Give masthead's own version."""
    from importlib import metadata  # noqa: PLC0415 - takes long to import

    try:
        return metadata.version("masthead")
    except metadata.PackageNotFoundError:
        return "(not installed)"
