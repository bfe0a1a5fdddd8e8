"""Addresses, families and namespaces: a row says what the socket has, not what the packet carries."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.e2e.namespaces import cookie, inside, ip, joined_pair, run
from tests.e2e.raw_server import RawServer, echo, listener
from tests.e2e.rows import assert_request, both_ends, connection, quality, role, targets
from tests.e2e.test_framing import get
from tests.e2e.wire import Conn, Head

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.capture import Capture, Row

pytestmark = pytest.mark.e2e

SERVER, CLIENT = "10.77.13.1", "10.77.13.2"


def ends(row: Row) -> tuple[str, int, str, int]:
    return row["client"]["address"], row["client"]["port"], row["server"]["address"], row["server"]["port"]


def test_ipv6_addresses_are_the_sockets(capture: Capture) -> None:
    with RawServer(echo, listener("::1")) as server, Conn.connect("::1", server.port) as client:
        client.call(get("/six"))
        own = client.port
    pairs = both_ends(capture.finish(server.port))
    assert len(pairs) == 1
    for row in pairs[0]:
        assert ends(row) == ("::1", own, "::1", server.port)
        assert quality(row) == []


def test_ipv4_through_a_dual_stack_socket_is_ipv4(capture: Capture) -> None:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(("::", 0))
    sock.listen()
    with RawServer(echo, sock) as server, Conn.connect("127.0.0.1", server.port) as client:
        client.call(get("/mapped"))
        own = client.port
    pairs = both_ends(capture.finish(server.port))
    assert len(pairs) == 1
    for row in pairs[0]:
        assert ends(row) == ("127.0.0.1", own, "127.0.0.1", server.port)


def test_both_ends_of_a_veth_pair_are_seen_each_in_its_namespace(capture: Capture) -> None:
    with joined_pair(SERVER, CLIENT) as (here, there):
        sock = inside(here, lambda: listener(SERVER))
        with RawServer(echo, sock) as server:
            client = inside(there, lambda: Conn.connect(SERVER, server.port))
            with client:
                client.call(get("/veth", "X-Tenant: acme\r\n"))
                own, spaces = client.port, (cookie(sock), cookie(client.sock))
        rows = capture.finish(server.port)
    assert len(rows) == 2
    for name, space in zip(("server", "client"), spaces, strict=True):
        row = role(rows, name)[0]
        assert_request(row, Head(get("/veth", "X-Tenant: acme\r\n")))
        assert ends(row) == (CLIENT, own, SERVER, server.port)
        assert row["masthead"]["network_namespace"] == space
        assert quality(row) == []


def test_behind_nat_at_the_server_each_end_has_its_sockets_addresses(capture: Capture) -> None:
    with joined_pair(SERVER, CLIENT) as (here, there):
        with RawServer(echo, inside(here, lambda: listener(SERVER))) as server:
            nat(here, "prerouting", "dstnat", f"tcp dport 80 redirect to :{server.port}")
            with inside(there, lambda: Conn.connect(SERVER, 80)) as client:
                for number in range(3):
                    client.call(get(f"/{number}"))
                own = client.port
        rows = capture.finish()
    assert_nat(rows, own, server=(SERVER, server.port), called=(SERVER, 80))


def test_behind_nat_at_the_client_each_end_has_its_sockets_addresses(capture: Capture) -> None:
    with joined_pair(SERVER, CLIENT) as (here, there):
        ip("-n", there, "route", "add", "default", "via", SERVER)
        with RawServer(echo, inside(here, lambda: listener(SERVER))) as server:
            nat(there, "output", "-100", f"tcp dport 80 dnat to {SERVER}:{server.port}")
            with inside(there, lambda: Conn.connect("203.0.113.9", 80)) as client:
                for number in range(3):
                    client.call(get(f"/{number}"))
                own = client.port
        rows = capture.finish()
    assert_nat(rows, own, server=(SERVER, server.port), called=("203.0.113.9", 80))


def nat(name: str, hook: str, priority: str, rule: str) -> None:
    chain = f"type nat hook {hook} priority {priority};"
    rules = f"table ip masthead {{\nchain {hook} {{\n{chain}\n{rule}\n}}\n}}\n"
    run("ip", "netns", "exec", name, "nft", "-f", "-", text=rules)


def assert_nat(rows: list[Row], own: int, *, server: tuple[str, int], called: tuple[str, int]) -> None:
    mine = [row for row in rows if (row["client"]["address"], row["client"]["port"]) == (CLIENT, own)]
    served, calls = role(mine, "server"), role(mine, "client")
    assert targets(served) == targets(calls) == ["/0", "/1", "/2"]
    assert {ends(row)[2:] for row in served} == {server}
    assert {ends(row)[2:] for row in calls} == {called}
    assert len({connection(row) for row in mine}) == 2
    assert all(quality(row) == [] for row in mine)


def test_connections_at_one_time_are_kept_apart(capture: Capture) -> None:
    with RawServer(echo) as one, RawServer(echo) as two:
        with Conn.connect("127.0.0.1", one.port) as first, Conn.connect("127.0.0.1", two.port) as second:
            for number in range(20):
                first.send(get(f"/one/{number}")[:20])
                second.send(get(f"/two/{number}")[:20])
                second.send(get(f"/two/{number}")[20:])
                first.send(get(f"/one/{number}")[20:])
                first.response()
                second.response()
        ports = one.port, two.port
    rows = capture.finish()
    for port, name in zip(ports, ("one", "two"), strict=True):
        pairs = both_ends([row for row in rows if row["server"]["port"] == port])
        assert targets([server for server, _ in pairs]) == [f"/{name}/{number}" for number in range(20)]


def test_only_the_ports_that_were_asked_for_are_logged(capture_with: Callable[..., Capture]) -> None:
    with RawServer(echo) as wanted, RawServer(echo) as other:
        capture = capture_with("--port", str(wanted.port))
        for server in (other, wanted):
            with Conn.connect("127.0.0.1", server.port) as client:
                client.call(get("/"))
        rows = capture.finish()
        assert {row["server"]["port"] for row in rows} == {wanted.port}
        assert len(rows) == 2
