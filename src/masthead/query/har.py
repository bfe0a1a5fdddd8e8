"""Calls as HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), which browsers and API tools open.

What is not known is -1, an empty text or status 0, as the format wants it; the marks stand in `_quality`.
"""

from __future__ import annotations

import json
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]


def document(rows: Iterable[Json]) -> Iterator[str]:
    """Give a HAR file in pieces.

    Args:
        rows: Calls in the form of NDJSON with `--headers pairs`.
    """
    creator = json.dumps({"name": "masthead", "version": _version()})
    yield f'{{"log":{{"version":"1.2","creator":{creator},"entries":[\n'
    between = ""
    for row in rows:
        yield between + json.dumps(entry(row), ensure_ascii=False, separators=(",", ":"))
        between = ",\n"
    yield "\n]}}\n"


def entry(row: Json) -> Json:
    """Give one call as an entry."""
    own = row.get("masthead", {})
    duration, ttfb = own.get("duration_ns"), own.get("ttfb_ns")
    found = {
        "startedDateTime": row.get("time", ""),
        "time": _milliseconds(duration, 0),
        "request": _request(row),
        "response": _response(row),
        "cache": {},
        "timings": {
            "send": _milliseconds(own.get("head_spread_ns"), -1),
            "wait": _milliseconds(ttfb, -1),
            "receive": _milliseconds(None if duration is None or ttfb is None else duration - ttfb, -1),
        },
        "connection": own.get("connection_id", ""),
        "_exchangeId": own.get("exchange_id"),
        "_route": row.get("http", {}).get("route"),
        "_role": own.get("role"),
        "_quality": own.get("quality", []),
    }
    address = row.get("server", {}).get("address")
    return found | ({"serverIPAddress": address} if address else {})


def _request(row: Json) -> Json:
    request, own = row.get("http", {}).get("request", {}), row.get("masthead", {})
    return {
        "method": request.get("method", ""),
        "url": _url(row),
        "httpVersion": _http_version(row),
        "cookies": [],
        "headers": _pairs(request.get("header", ())),
        "queryString": _pairs(parse_qsl(row.get("url", {}).get("query", ""), keep_blank_values=True)),
        "headersSize": own.get("request_head_bytes", -1),
        "bodySize": request.get("body", {}).get("size", -1),
    }


def _response(row: Json) -> Json:
    response, own = row.get("http", {}).get("response", {}), row.get("masthead", {})
    headers, size = response.get("header", ()), response.get("body", {}).get("size", -1)
    return {
        "status": response.get("status_code", 0),
        "statusText": "",
        "httpVersion": _http_version(row),
        "cookies": [],
        "headers": _pairs(headers),
        "content": {"size": max(size, 0), "mimeType": _first(headers, "content-type")},
        "redirectURL": _first(headers, "location"),
        "headersSize": own.get("response_head_bytes", -1),
        "bodySize": size,
    }


def _url(row: Json) -> str:
    own, url = row.get("masthead", {}), row.get("url", {})
    target: str = own.get("target", "")
    if "://" in target:
        return target
    authority = own.get("authority") or row.get("server", {}).get("address", "")
    return f"{url.get('scheme', 'http')}://{authority}{target if target.startswith('/') else ''}"


def _http_version(row: Json) -> str:
    protocol = row.get("network", {}).get("protocol", {})
    return f"{protocol.get('name', '')}/{protocol.get('version', '')}".upper().strip("/")


def _pairs(pairs: Iterable[tuple[str | None, str | None]]) -> list[Json]:
    # A field whose name is not known (HPACK) can't be shown; `_quality` says so.
    return [{"name": name, "value": value} for name, value in pairs if name is not None]


def _first(headers: Iterable[tuple[str | None, str | None]], name: str) -> str:
    return next((value or "" for found, value in headers if found and found.lower() == name), "")


def _milliseconds(nanoseconds: int | None, unknown: float) -> float:
    return unknown if nanoseconds is None else nanoseconds / 1e6


def _version() -> str:
    try:
        return metadata.version("masthead")
    except metadata.PackageNotFoundError:
        return ""
