"""What a row must say about bytes that both ends know."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.e2e.capture import Row
    from tests.e2e.wire import Head

REDACTED = {"authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"}
"""Of the fields that are redacted by default, those that the tests send."""

PER_END = {"exchange_id", "connection_id", "role", "cgroup", "tls_library", "ttfb_ns", "duration_ns", "head_spread_ns"}
"""Members of `masthead` that differ between the two ends of one call."""


def role(rows: list[Row], name: str) -> list[Row]:
    """Return the rows of one role, in the order of their exchanges."""
    return sorted((row for row in rows if row["masthead"]["role"] == name), key=ordinal)


def ordinal(row: Row) -> int:
    """Return the exchange's place on its connection."""
    return int(row["masthead"]["exchange_id"].rsplit("-", 1)[1])


def connection(row: Row) -> str:
    """Return the connection's id."""
    return str(row["masthead"]["connection_id"])


def quality(row: Row) -> list[str]:
    """Return the row's marks."""
    marks: list[str] = row["masthead"]["quality"]
    return marks


def target(row: Row) -> str:
    """Return the target as sent."""
    return str(row["masthead"]["target"])


def targets(rows: list[Row]) -> list[str]:
    """Return the targets as sent."""
    return [target(row) for row in rows]


def request_fields(row: Row) -> list[list[str]]:
    """Return the request's fields in order."""
    fields: list[list[str]] = row["http"]["request"].get("header", [])
    return fields


def response_fields(row: Row) -> list[list[str]]:
    """Return the response's fields in order."""
    fields: list[list[str]] = row["http"]["response"].get("header", [])
    return fields


def assert_fields(got: list[list[str]], sent: list[list[str]]) -> None:
    """Fail unless each field is there, in order, with its case and value; secrets only as a pseudonym."""
    assert [name for name, _ in got] == [name for name, _ in sent]
    for (name, value), (_, secret) in zip(got, sent, strict=True):
        if name.lower() in REDACTED:
            assert "hmac:" in value, f"{name} is not redacted: {value}"
            assert value != secret
        else:
            assert [name, value] == [name, secret]


def assert_request(row: Row, head: Head) -> None:
    """Fail unless the row's request is the one that the head's bytes say."""
    method, sent_target, version = head.start.split(" ")
    assert row["http"]["request"]["method"] == method
    assert target(row) == sent_target
    assert row["network"]["protocol"] == {"name": "http", "version": version.removeprefix("HTTP/")}
    assert_fields(request_fields(row), head.fields)
    assert row["masthead"]["request_head_bytes"] == len(head.raw)


def assert_response(row: Row, head: Head) -> None:
    """Fail unless the row's response is the one that the head's bytes say."""
    assert row["http"]["response"]["status_code"] == head.status
    assert_fields(response_fields(row), head.fields)
    assert row["masthead"]["response_head_bytes"] == len(head.raw)


def assert_row(row: Row, request: Head, response: Head | None, marks: tuple[str, ...] = ()) -> None:
    """Fail unless the row says what these two heads say, with exactly these marks."""
    assert_request(row, request)
    if response is not None:
        assert_response(row, response)
    assert quality(row) == list(marks), row


def shared(row: Row) -> dict[str, Any]:
    """Return what both ends of one call must agree about."""
    own = {key: value for key, value in row["masthead"].items() if key not in PER_END}
    rest = {key: value for key, value in row.items() if key not in {"time", "process", "container", "masthead"}}
    return {**rest, "masthead": own}


def both_ends(rows: list[Row]) -> list[tuple[Row, Row]]:
    """Pair the server's row with the client's row of each call; fail where one is missing or they disagree."""
    servers, clients = role(rows, "server"), role(rows, "client")

    def key(row: Row) -> tuple[Any, ...]:
        return row["client"]["address"], row["client"]["port"], ordinal(row)

    assert len(servers) + len(clients) == len(rows), "a row without a role"
    assert sorted(map(key, servers)) == sorted(map(key, clients))
    by_key = {key(row): row for row in clients}
    pairs = [(row, by_key[key(row)]) for row in sorted(servers, key=key)]
    for server, client in pairs:
        assert shared(server) == shared(client)
    return pairs
