"""`masthead run`: the service."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from typing import TYPE_CHECKING

from masthead.alerts.opening import open_alerts
from masthead.commands import flags, version
from masthead.commands.keeping import open_keeping
from masthead.commands.measuring import serve_metrics
from masthead.commands.reload import Reload
from masthead.commands.sending import accounts, begin, close_all, open_sinks
from masthead.commands.service import Service
from masthead.commands.signals import Signals
from masthead.errors import ConfigError, NotPermittedError
from masthead.host import Host
from masthead.pipeline import Pipeline
from masthead.rules import compile_rules
from masthead.sinks import complain, open_sink
from masthead.sinks.followers import Followers
from masthead.sources import CaptureSource

if TYPE_CHECKING:
    import argparse

    from masthead.config import Config

_EPILOG = """
examples:
  sudo masthead run                                   NDJSON on standard output
  sudo masthead run --file /var/log/masthead.ndjson --role server
  sudo masthead run --output none --store /var/lib/masthead/store     then: masthead query
  sudo masthead run --port 8080 --request-deny 'sec-*' --output table
  sudo masthead tail                                  in another terminal: watch

signals:
  SIGINT, SIGTERM   stop: write what is left, print the account
  SIGUSR1           print the account of everything seen, logged and lost
  SIGHUP            read the settings again and open the output anew (log rotation);
                    a file with a mistake changes nothing

Secrets (Authorization, Cookie, API keys, tokens, ...) leave only as hmac:<12 hex>.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Say what the verb takes."""
    parser.epilog = _EPILOG
    flags.add_config_flag(parser)
    flags.add_flags(parser, "which connections", (*flags.CAPTURE, *flags.LIMITS))
    flags.add_flags(parser, "which calls", flags.FILTER)
    flags.add_flags(parser, "what is logged", flags.SELECTION)
    flags.add_flags(parser, "redaction", flags.REDACTION)
    flags.add_flags(parser, "output", (*flags.OUTPUT, *flags.STORE, *flags.METRICS))


def execute(parsed: argparse.Namespace) -> int:
    """Capture until stopped."""
    config = flags.settings(parsed).config
    require_permission(Host())
    signals = Signals()
    rules = compile_rules(config, complain)
    output = open_sink(config.output)
    keeping = open_keeping(config)
    deliveries = open_sinks(config)
    alerts = open_alerts(config.alerts, complain)
    source = CaptureSource(config, rules)
    signals.install()
    followers = _followers(config, source)
    optional = (keeping.sink if keeping else None, *deliveries, alerts, followers)
    pipeline = Pipeline(source, [output, *(sink for sink in optional if sink is not None)])
    serve_metrics(config, pipeline, alerts, version())
    reload = Reload(parsed, config, source, pipeline, keeping, alerts)
    service = Service(
        pipeline,
        signals,
        reload=reload,
        tell=complain,
        followers=followers,
        hint=hint(config),
        trouble=lambda: trouble(source),
    )
    begin(pipeline.sinks)
    if alerts:
        alerts.start()
    if unseen := trouble(source):
        complain(unseen)
    complain(f"ready: capturing {described(config)}; Ctrl-C stops")
    _notify("READY=1")
    try:
        service.run()
    except TimeoutError:
        complain("stopping took too long; the last rows may be missing")
        return 2
    finally:
        signals.settled()
        close_all(pipeline.sinks)
        for line in accounts(pipeline.sinks):
            complain(line)
    return 0


def require_permission(host: Host) -> None:
    """Refuse early and in words what the kernel would refuse in a number.

    Raises:
        NotPermittedError: A capability is missing.
    """
    missing = host.missing_capabilities()
    if missing:
        what = f"not permitted to capture: {', '.join(missing)} missing"
        command = shlex.join(["sudo", "masthead", *sys.argv[1:]])
        raise NotPermittedError(what, remedy=f"try: {command}")


def described(config: Config) -> str:
    """Tell in a few words what is captured."""
    capture = config.capture
    ports = f"port {', '.join(map(str, capture.ports))}" if capture.ports else "all ports"
    place = ", ".join(capture.cgroups) or "the whole host"
    role = "" if capture.role == "both" else f", {capture.role} side only"
    return f"{ports} of {place}{role}"


def _followers(config: Config, source: CaptureSource) -> Followers | None:
    if not config.output.tail_socket:
        return None
    try:
        return Followers(config.output.tail_socket, open_exchanges=source.open_exchanges)
    except ConfigError as error:
        # Watching is a convenience: the log does not wait for it.
        complain(str(error))
        return None


def trouble(source: CaptureSource) -> str | None:
    """Tell why plaintext inside TLS can't be seen, where that is so."""
    why = source.tls_trouble
    return f"plaintext inside TLS can't be seen, or not all of it: {why}" if why else None


def hint(config: Config) -> str:
    """Tell whoever sees nothing what to try, and what can't be seen."""
    port = config.capture.ports[0] if config.capture.ports else 80
    tls = "some TLS libraries" if config.tls.enabled else "TLS (tls.enabled is false)"
    return (
        f"no call has been seen yet; try one: curl -s http://127.0.0.1:{port}/\n"
        f"  HTTP/3, Unix sockets and {tls} are not seen; masthead doctor tells what this host allows"
    )


def _notify(state: str) -> None:
    """Tell systemd (sd_notify(3)), where it asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.connect(address.replace("@", "\0", 1))
            channel.send(state.encode())
        except OSError as error:
            complain(f"systemd could not be told {state}: {error.strerror or error}")
