"""The captures of other projects, and what masthead and tshark make of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CORPORA = Path(os.environ.get("MASTHEAD_CORPORA") or Path(__file__).parents[3] / "shared" / "corpora")
CAPTURES = CORPORA / "pcap"
# Some 250 captures of one connection each, all alike: they are judged as one, since tshark starts slowly.
SERIES = "suricata/http-evader/"
# HTTP/2 in clear text on a port where tshark looks for TLS only.
HTTP2_PORTS = {"suricata/http2-compression-bug/input.pcap": 443}

# tshark's names of method, target, host and status.
HTTP1_NAMES = ("http.request.method", "http.request.uri", "http.host", "http.response.code")
HTTP2_NAMES = ("http2.headers.method", "http2.headers.path", "http2.headers.authority", "http2.headers.status")

Row = dict[str, Any]
Pair = tuple[str, Any]


def files() -> list[str]:
    """Every capture, as its path under `CAPTURES`."""
    found = (path for path in CAPTURES.rglob("*") if path.suffix in {".pcap", ".pcapng"})
    return sorted(str(path.relative_to(CAPTURES)) for path in found)


@dataclass
class Calls:
    """What went over one connection, in order: `METHOD target host` of requests (`-`: none), status of responses."""

    requests: list[str] = field(default_factory=list)
    responses: list[int] = field(default_factory=list)

    def request(self, method: str | None, target: str | None, host: str | None) -> None:
        """Add a request."""
        self.requests.append(f"{method or '-'} {target or '-'} {host or '-'}")


def masthead(paths: Sequence[Path]) -> tuple[list[Row], str]:
    """Run `masthead replay`: the rows, and what it says on standard error (the ledger at its end)."""
    command = [sys.executable, "-m", "masthead", "replay", "--ledger", "--no-redaction", "--headers", "pairs"]
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, check=False, timeout=300)
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 0, said
    return [json.loads(line) for line in done.stdout.splitlines()], said


def fields(row: Row, side: str) -> list[tuple[str, str]]:
    """The header fields of one side (`request` or `response`)."""
    return [(name, value) for name, value in row["http"].get(side, {}).get("header", [])]


def stream_of(row: Row) -> int:
    """The connection's place in its file, counted from 0 as tshark does."""
    return int(row["masthead"]["connection_id"].split("-")[1], 16) - 1


def is_http2(row: Row) -> bool:
    """Whether the row's exchange went over HTTP/2."""
    return bool(row["network"]["protocol"].get("version") == "2")


def calls_of_rows(rows: list[Row]) -> dict[int, Calls]:
    """The calls of every connection, by tshark's stream number."""
    streams: dict[int, Calls] = {}
    # Rows of HTTP/2 come as their exchanges end.
    for row in sorted(rows, key=lambda row: int(row["masthead"]["exchange_id"].rsplit("-", 1)[1])):
        calls = streams.setdefault(stream_of(row), Calls())
        if row["http"].get("request"):
            hosts = [value for name, value in fields(row, "request") if name.lower() == "host"]
            hosts = hosts or [value for value in [row["masthead"].get("authority")] if value and is_http2(row)]
            method = row["http"]["request"].get("method")
            calls.request(method, row["masthead"].get("target"), hosts[0] if hosts else None)
        calls.responses += [interim["status"] for interim in row["masthead"].get("interim", [])]
        if status := row["http"].get("response", {}).get("status_code"):
            calls.responses.append(status)
    return streams


def tshark(path: Path) -> dict[int, Calls]:
    """The calls that Wireshark's dissector sees, by connection; those of HTTP/2 in the order of their streams."""
    command = ["tshark", "-n", "-r", str(path), "-Y", "http || http2.headers", "-T", "json", "-J", "http http2 tcp"]
    if port := next((port for file, port in HTTP2_PORTS.items() if path == CAPTURES / file), None):
        command += ["-d", f"tcp.port=={port},http2"]
    text = subprocess.run(command, capture_output=True, check=True, timeout=300).stdout.decode(errors="replace")
    streams: dict[int, Calls] = {}
    http2: dict[int, list[tuple[int, dict[str, str]]]] = {}
    # Names repeat where a packet ends several messages: an object is read as its pairs.
    for packet in json.loads(text or "[]", object_pairs_hook=list):
        layers = _get(_get(packet, "_source"), "layers")
        connection = int(_get(_get(layers, "tcp"), "tcp.stream") or 0)
        calls = streams.setdefault(connection, Calls())
        for message in (dict(_flat(value)) for name, value in layers if name == "http" and isinstance(value, list)):
            _add(calls, message, HTTP1_NAMES)
        http2.setdefault(connection, []).extend(_http2_messages(layers))
    for connection, messages in http2.items():
        for _, message in sorted(messages, key=lambda pair: pair[0]):
            _add(streams[connection], message, HTTP2_NAMES)
    return streams


def _add(calls: Calls, message: Mapping[str, str], names: tuple[str, str, str, str]) -> None:
    """Add what a dissected message says under these names."""
    method, target, host, status = names
    if method in message:
        calls.request(message[method], message[target], message.get(host))
    elif status in message:
        calls.responses.append(int(message[status]))


def _http2_messages(layers: list[Pair]) -> Iterator[tuple[int, dict[str, str]]]:
    """The frames of HTTP/2 in a packet, each with its stream."""
    for _, layer in (pair for pair in layers if pair[0] == "http2" and isinstance(pair[1], list)):
        for frame in (dict(_flat(frame)) for kind, frame in layer if kind == "http2.stream"):
            if "http2.streamid" in frame:
                yield int(frame["http2.streamid"]), frame


def merged(paths: Sequence[Path], into: Path) -> Path:
    """Put captures one behind the other into one file."""
    subprocess.run(["mergecap", "-a", "-w", str(into), *map(str, paths)], check=True, timeout=300)
    return into


def _get(pairs: list[Pair], name: str) -> Any:
    return next((value for known, value in pairs if known == name), None)


def _flat(pairs: list[Pair]) -> Iterator[tuple[str, str]]:
    """Every field of a dissected message, the first of a name last, so that it is what a `dict` keeps."""
    for name, value in reversed(pairs):
        if isinstance(value, str):
            yield name, value
        elif isinstance(value, list) and value and isinstance(value[0], tuple):
            yield from _flat(value)


def suricata_value(row: Row, key: str) -> object:
    """What Suricata's event of an exchange has under a key; `KeyError` for a key without a counterpart."""
    request, response = row["http"].get("request", {}), row["http"].get("response", {})
    if found := re.fullmatch(r"http\.(request|response)_headers(?:\[(\d+)\]\.(name|value)|\.__len)", key):
        side, place, part = found.groups()
        pairs = fields(row, side)
        if place is None:
            return len(pairs)
        return pairs[int(place)][part == "value"] if int(place) < len(pairs) else None
    host = [value for name, value in fields(row, "request") if name.lower() == "host"]
    known: Mapping[str, object] = {
        "event_type": "http",
        "http.url": row["masthead"].get("target"),
        "http.http_method": request.get("method"),
        "http.status": response.get("status_code"),
        "http.hostname": re.sub(r":\d+$", "", host[0]) if host else None,
        "http.protocol": f"HTTP/{row['network']['protocol'].get('version', '0.9')}",
        "tx_id": int(row["masthead"]["exchange_id"].rsplit("-", 1)[1]),
    }
    return known[key]
