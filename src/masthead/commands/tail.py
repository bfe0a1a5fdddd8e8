"""`masthead tail`: calls as they happen, from the running service or by capturing alone."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

from masthead.commands import flags
from masthead.commands.run import described, require_permission, trouble
from masthead.errors import NotPermittedError, NotSupportedError
from masthead.host import Host
from masthead.pipeline import Pipeline
from masthead.rules import compile_rules
from masthead.sinks import complain
from masthead.sinks.followers import ASK_OPEN
from masthead.sinks.outlet import Outlet
from masthead.sinks.table import TableSink
from masthead.sources import CaptureSource
from masthead.where import FIELDS, compile_expression

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Mapping

    from masthead.batch import Batch
    from masthead.config import Config
    from masthead.where import Predicate

_WAIT_MS = 200
_EPILOG = """
examples:
  sudo masthead tail
  sudo masthead tail --where 'status >= 500 or ttfb > 250ms' --headers
  sudo masthead tail --where 'method == "POST" and path ~ "/v1/*"'
  sudo masthead tail --open
  sudo masthead tail --where 'req.x-tenant == "acme" and not resp.cache-control'

expressions: == != < <= > >=, ~ (glob) and !~, and, or, not, parentheses; a name alone
asks whether it is there; req.NAME and resp.NAME are header fields. Names:
"""


class _Watch(TableSink):
    """Shows the rows that an expression lets pass."""

    def __init__(self, where: Predicate | None, *, headers: bool) -> None:
        super().__init__(Outlet(reader_may_leave=True), headers=headers)
        self._where = where

    def write(self, batch: Batch) -> int:
        """Show a batch."""
        return self.show(batch.ndjson("object").splitlines())

    def show(self, lines: Iterable[bytes]) -> int:
        """Show lines of NDJSON; lines about masthead itself always pass."""
        failed = 0
        for line in lines:
            row = json.loads(line)
            if _is_note(row):
                self.note(row)
            elif self._where is None or self._where(row):
                failed += self.write_rows([row])
        return failed


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    names = "\n".join(f"  {name:<10}{field.sentence}" for name, field in FIELDS.items())
    parser.epilog = _EPILOG + names
    parser.add_argument("--where", metavar="EXPRESSION", help="show only calls for which this holds")
    parser.add_argument("--headers", action="store_true", help="show the header fields below each call")
    parser.add_argument("--open", action="store_true", help="show the calls under way in the running service, and end")
    parser.add_argument("--alone", action="store_true", help="capture here, even where a service runs")
    flags.add_config_flag(parser)
    flags.add_flags(parser, "when capturing alone", (*flags.CAPTURE, *flags.LIMITS, *flags.FILTER))
    flags.add_flags(parser, "redaction, when capturing alone", flags.REDACTION)


def execute(parsed: argparse.Namespace) -> int:
    """Show calls until interrupted."""
    where = compile_expression(parsed.where) if parsed.where else None
    config = flags.settings(parsed).config
    path = config.output.tail_socket
    sink = _Watch(where, headers=parsed.headers)
    try:
        service = None if parsed.alone or not path else _connect(path)
        if parsed.open:
            _open_calls(service, sink)
        elif service is None:
            _capture(config, sink)
        else:
            complain(f"following the running service ({path}); Ctrl-C stops")
            _follow(service, sink)
    except KeyboardInterrupt:
        return 0
    return 0


def _connect(path: str) -> socket.socket | None:
    """Reach the running service; `None` where none runs.

    Raises:
        NotPermittedError: One runs, and its rows are not for this user.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(path)
    except PermissionError as error:
        connection.close()
        what = "a service runs here, but its rows are not for this user"
        raise NotPermittedError(what, path, "try: sudo masthead tail") from error
    except OSError:
        connection.close()
        return None
    return connection


def _follow(service: socket.socket, sink: _Watch) -> None:
    with service:
        for lines in _lines(service):
            sink.show(lines)
            if sink.gone:
                return
    complain("the service has stopped")


def _open_calls(service: socket.socket | None, sink: _Watch) -> None:
    """Show what is under way now.

    Raises:
        NotSupportedError: No service runs that could know.
    """
    if service is None:
        what = "no service runs here that knows which calls are under way"
        raise NotSupportedError(what, remedy="start one: sudo masthead run")
    with service:
        service.sendall(ASK_OPEN)
        left: int | None = None
        for lines in _lines(service):
            for line in lines:
                # Rows of calls that ended meanwhile come before the answer.
                if left is None:
                    told = json.loads(line).get("masthead", {})
                    left = told["rows"] if told.get("event") == "open" else None
                else:
                    sink.show([line])
                    left -= 1
                if left == 0:
                    return
    complain("the service has stopped")


def _lines(service: socket.socket) -> Iterator[list[bytes]]:
    """Give whole lines as they come."""
    rest = b""
    while data := service.recv(1 << 16):
        *whole, rest = (rest + data).split(b"\n")
        yield whole


def _capture(config: Config, sink: _Watch) -> None:
    require_permission(Host())
    source = CaptureSource(config, compile_rules(config, complain))
    if unseen := trouble(source):
        complain(unseen)
    complain(f"ready: capturing {described(config)}; Ctrl-C stops")
    pipeline = Pipeline(source, [sink])
    try:
        while not sink.gone and not source.closed:
            pipeline.step(_WAIT_MS)
    finally:
        source.close()
        lost = pipeline.ledger().lost()
        if lost:
            complain("not shown: " + ", ".join(f"{name} {count:,}" for name, count in lost.items()))


def _is_note(row: Mapping[str, object]) -> bool:
    told = row.get("masthead")
    return isinstance(told, dict) and "event" in told
