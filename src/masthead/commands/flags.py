"""The flags that set settings, shared by the verbs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from masthead.config import Loaded, load
from masthead.sinks.outlet import complain

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag and the key that it sets; lists are given by repeating the flag."""

    key: str
    name: str
    help: str
    metavar: str | None = None
    kind: type = str
    many: bool = False
    choices: tuple[str, ...] | None = None
    constant: object = None


CAPTURE = (
    Flag("capture.ports", "--port", "only connections with this port at either end", "N", int, many=True),
    Flag("capture.role", "--role", "which end of a call to log", choices=("both", "server", "client")),
    Flag("capture.processes", "--process", "only processes whose name or path matches", "GLOB", many=True),
    Flag("capture.cgroups", "--cgroup", "only the processes of this cgroup (a container)", "PATH", many=True),
    Flag("capture.ring_bytes", "--ring-bytes", "memory between kernel and reader, a power of two", "N", int),
)
LIMITS = (Flag("capture.max_head_bytes", "--max-head-bytes", "keep at most this much of a head", "N", int),)
SELECTION = (
    Flag("request.allow", "--request-allow", "log only these request fields", "GLOB", many=True),
    Flag("request.deny", "--request-deny", "leave these request fields out", "GLOB", many=True),
    Flag("response.allow", "--response-allow", "log only these response fields", "GLOB", many=True),
    Flag("response.deny", "--response-deny", "leave these response fields out", "GLOB", many=True),
)
REDACTION = (
    Flag("redact.fields", "--redact-field", "fields to redact besides the usual secrets", "GLOB", many=True),
    Flag("redact.query", "--redact-query", "query parameters to redact besides the usual", "GLOB", many=True),
    Flag("redact.key_file", "--key-file", "the key of the pseudonyms", "PATH"),
    Flag("redact.enabled", "--no-redaction", "log secrets as they are", constant=False),
)
FILTER = (
    Flag("filter.hosts", "--host", "only calls to this host", "GLOB", many=True),
    Flag("filter.not_hosts", "--not-host", "no calls to this host", "GLOB", many=True),
    Flag("filter.paths", "--path", "only calls of this path", "GLOB", many=True),
    Flag("filter.not_paths", "--not-path", "no calls of this path", "GLOB", many=True),
    Flag("filter.statuses", "--status", "only this status: 404, 5xx, 200-299", "S", many=True),
    Flag("sample.rate", "--sample", "log this share of the calls; errors stay complete", "0..1", float),
    Flag("forwarded.trusted_hops", "--trusted-hop", "believe X-Forwarded-For from here", "CIDR", many=True),
)
FILTER_PORTS = (Flag("filter.ports", "--port", "only calls with this port at either end", "N", int, many=True),)
OUTPUT = (
    Flag("output.format", "--output", "what to write", choices=("ndjson", "table", "none")),
    Flag("output.headers", "--headers", "form of header fields in NDJSON", choices=("object", "pairs")),
    Flag("output.file", "--file", "append to this file instead of standard output", "FILE"),
)

METRICS = (
    Flag("prometheus.listen", "--metrics", "serve metrics for Prometheus here, such as 127.0.0.1:9464", "ADDRESS"),
)
STORE = (Flag("store.path", "--store", "keep rows in this directory or database (clickhouse://...)", "PLACE"),)


def add_flags(parser: argparse.ArgumentParser, title: str, flags: Sequence[Flag]) -> None:
    """Add a group of flags whose values `settings` finds again."""
    group = parser.add_argument_group(title)
    for flag in flags:
        if flag.constant is not None:
            group.add_argument(
                flag.name, dest=flag.key, action="store_const", const=flag.constant, default=None, help=flag.help
            )
            continue
        group.add_argument(
            flag.name,
            dest=flag.key,
            action="append" if flag.many else "store",
            type=flag.kind,
            choices=flag.choices,
            metavar=flag.metavar,
            default=None,
            help=f"{flag.help} (repeatable)" if flag.many else flag.help,
        )


def add_config_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--config`."""
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="settings; else MASTHEAD_CONFIG, ./masthead.toml or /etc/masthead/masthead.toml",
    )


def settings(parsed: argparse.Namespace, without: tuple[str, ...] = ()) -> Loaded:
    """Read the settings with the flags on top, and pass on what the user should know about them.

    Raises:
        ConfigError: Something in them is wrong.
    """
    flags = {key: value for key, value in vars(parsed).items() if "." in key}
    loaded = load(flags, path=parsed.config, without=without)
    for note in loaded.notes:
        complain(note)
    return loaded
