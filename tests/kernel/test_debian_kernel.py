"""Debian 12's stock kernel, 6.1, the oldest that masthead is tried on: it loads every program, and calls are logged."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.capture import check_ledger, lost, masthead, of_port
from tests.e2e.namespaces import run
from tests.e2e.rows import quality, request_fields, response_fields, role, targets
from tests.kernel.guest.machine import UnavailableError, boot

if TYPE_CHECKING:
    from tests.e2e.capture import Row

pytestmark = pytest.mark.kernel

LATER = {"received", "tls_received", "tls_sent"}
"""Programs for tracepoints that 6.1 lacks: sock_recv_length and sock_send_length came with 6.3."""


@pytest.fixture(scope="module")
def guest() -> dict[str, Any]:
    try:
        return boot()
    except UnavailableError as error:
        pytest.skip(f"Debian 12's kernel can't be run here: {error}")


def names(programs: str) -> set[str]:
    return {program["name"] for program in json.loads(programs)}


def ends(done: dict[str, Any]) -> tuple[list[Row], list[Row]]:
    rows = of_port(done["rows"].encode().splitlines(), done["port"])
    return role(rows, "server"), role(rows, "client")


def test_every_program_loads_on_6_1_but_those_whose_tracepoint_came_later(guest: dict[str, Any]) -> None:
    assert guest["kernel"].startswith("6.1.")
    doctor = guest["doctor"]
    assert doctor["status"] == 0, doctor["words"]
    here = names(run(*masthead(), "doctor", "--programs", "--json"))
    assert {"ingress", "egress", "sock_create"} <= here
    assert names(doctor["programs"]) == here - LATER


def test_calls_are_logged_at_both_ends_with_nothing_lost(guest: dict[str, Any]) -> None:
    done = guest["run"]
    assert done["status"] == 0, done["words"]
    assert lost(check_ledger(done["words"])) == 0
    for rows in ends(done):
        assert targets(rows) == ["/orders", "/orders/7"]
        assert [row["http"]["response"]["status_code"] for row in rows] == [201, 200]
        assert ["X-Tenant", "acme"] in request_fields(rows[0])
        assert all(["X-Served-By", "guest"] in response_fields(row) for row in rows)


def test_clients_are_known_there_and_servers_are_not(guest: dict[str, Any]) -> None:
    servers, clients = ends(guest["run"])
    assert [row["process"]["pid"] for row in clients] == [guest["pid"]] * 2
    assert [quality(row) for row in clients] == [[]] * 2
    assert [quality(row) for row in servers] == [["process_unknown"]] * 2


def test_calls_inside_tls_are_logged_without_addresses(guest: dict[str, Any]) -> None:
    rows = [row for row in map(json.loads, guest["run"]["rows"].splitlines()) if row["masthead"]["source"] == "tls"]
    for end in ("server", "client"):
        mine = role(rows, end)
        assert targets(mine) == ["/orders", "/orders/7"]
        assert [row["http"]["response"]["status_code"] for row in mine] == [201, 200]
        assert [row["http"]["request"]["body"]["size"] for row in mine] == [10_000, 0]
        assert ["X-Tenant", "acme"] in request_fields(mine[0])
        for row in mine:
            assert ["X-Served-By", "guest"] in response_fields(row)
            assert row["process"]["pid"] == guest["pid"]
            assert quality(row) == []
            # No tracepoint tells which socket a thread reads from or writes to.
            assert row["client"] == row["server"] == {}
