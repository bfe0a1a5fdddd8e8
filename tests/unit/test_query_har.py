from __future__ import annotations

import json
from typing import Any

from masthead.query.har import document, entry

ROW: dict[str, Any] = {
    "time": "2026-08-01T00:00:00.000000001Z",
    "http": {
        "request": {"method": "GET", "body": {"size": 0}, "header": [["Host", "a"], ["X", "1"], ["x", "2"]]},
        "response": {
            "status_code": 302,
            "body": {"size": 10},
            "header": [["Location", "/b"], ["Content-Type", "text/html"]],
        },
        "route": "/a",
    },
    "url": {"scheme": "http", "path": "/a", "query": "q=1&q=&u=%20"},
    "network": {"protocol": {"name": "http", "version": "1.1"}},
    "server": {"address": "10.0.0.1", "port": 80},
    "masthead": {
        "target": "/a?q=1&q=&u=%20",
        "authority": "a:8080",
        "exchange_id": "e",
        "connection_id": "c",
        "role": "server",
        "request_head_bytes": 20,
        "ttfb_ns": 1_000_000,
        "duration_ns": 3_000_000,
        "head_spread_ns": 0,
        "quality": [],
    },
}
# What HAR 1.2 requires of an entry and its parts.
REQUIRED = {
    "": {"startedDateTime", "time", "request", "response", "cache", "timings"},
    "request": {
        *("method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"),
    },
    "response": {
        *("status", "statusText", "httpVersion", "cookies", "headers", "content"),
        *("redirectURL", "headersSize", "bodySize"),
    },
    "timings": {"send", "wait", "receive"},
}


def is_complete(found: dict[str, Any]) -> bool:
    return all(names <= (found[part] if part else found).keys() for part, names in REQUIRED.items())


def test_a_call_is_an_entry_with_all_that_the_format_requires() -> None:
    found = entry(ROW)
    assert is_complete(found)
    assert found["request"]["url"] == "http://a:8080/a?q=1&q=&u=%20"
    assert found["request"]["headers"] == [
        {"name": "Host", "value": "a"},
        {"name": "X", "value": "1"},
        {"name": "x", "value": "2"},
    ]
    assert [(pair["name"], pair["value"]) for pair in found["request"]["queryString"]] == [
        ("q", "1"),
        ("q", ""),
        ("u", " "),
    ]
    assert found["timings"] == {"send": 0, "wait": 1.0, "receive": 2.0}
    assert (found["response"]["redirectURL"], found["response"]["content"]["mimeType"]) == ("/b", "text/html")


def test_what_is_not_known_is_said_as_the_format_wants_it() -> None:
    found = entry({"time": "t", "masthead": {"quality": ["no_request"]}})
    assert is_complete(found)
    assert found["response"]["status"] == 0
    assert found["request"]["headersSize"] == found["response"]["bodySize"] == found["timings"]["wait"] == -1
    assert "serverIPAddress" not in found


def test_an_absolute_target_is_the_url() -> None:
    assert entry({**ROW, "masthead": {"target": "http://b/c"}})["request"]["url"] == "http://b/c"


def test_a_document_of_any_length_is_json() -> None:
    for count in (0, 1, 3):
        found = json.loads("".join(document([ROW] * count)))
        assert found["log"]["version"] == "1.2"
        assert len(found["log"]["entries"]) == count
