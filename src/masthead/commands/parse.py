"""`masthead parse`: raw HTTP/1.x bytes of one direction, from the first byte of a connection."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from masthead.commands import flags
from masthead.errors import InputError
from masthead.extension import native
from masthead.rules import compile_rules
from masthead.sinks import complain, open_sink

if TYPE_CHECKING:
    import argparse

_EPILOG = r"""
examples:
  printf 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n' | masthead parse -
  masthead parse --response answer.bin --headers pairs
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    parser.add_argument("file", metavar="FILE", help="the bytes; - for standard input")
    parser.add_argument("--response", action="store_true", help="they are responses, not requests")
    flags.add_config_flag(parser)
    flags.add_flags(parser, "what is logged", (*flags.SELECTION, *flags.LIMITS))
    flags.add_flags(parser, "redaction", flags.REDACTION)
    flags.add_flags(parser, "output", flags.OUTPUT)


def execute(parsed: argparse.Namespace) -> int:
    """Parse the bytes and write the rows."""
    config = flags.settings(parsed, without=("output", "filter", "sample")).config
    rules = compile_rules(config, complain)
    sink = open_sink(config.output, reader_may_leave=True)
    batches = native().parse(_bytes(parsed.file), parsed.response, rules, config.capture.max_head_bytes)
    failed = sum(sink.write(batch) for batch in batches)
    sink.close()
    return 2 if failed and not sink.gone else 0


def _bytes(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise InputError(error.strerror or str(error), file, "name a file that can be read, or -") from error
