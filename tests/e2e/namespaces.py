"""Network namespaces of a test's own: made, entered, joined by veth pairs, and removed whatever happens."""

from __future__ import annotations

import ctypes
import itertools
import os
import socket
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

SO_NETNS_COOKIE = 71
_CLONE_NEWNET = 0x4000_0000
_number = itertools.count()


def ip(*arguments: str) -> None:
    """Run `ip`, and fail with its words."""
    run("ip", *arguments)


def run(*command: str, text: str | None = None) -> str:
    """Run a command with `text` on its stdin; fail with its words, else return its output."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@contextmanager
def namespace() -> Iterator[str]:
    """Make a network namespace with its loopback up; remove it, and with it its devices and rules, at the end."""
    name = f"masthead-{os.getpid()}-{next(_number)}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


def inside(name: str, act: Callable[[], T]) -> T:
    """Run `act` in a namespace; sockets and descriptors that it makes belong there for good."""
    results: list[T] = []
    errors: list[BaseException] = []
    libc = ctypes.CDLL(None, use_errno=True)

    def enter() -> None:
        try:
            descriptor = os.open(Path("/run/netns") / name, os.O_RDONLY | os.O_CLOEXEC)
            try:
                # Only this thread moves, and it ends with the act.
                if libc.setns(descriptor, _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {name}")
            finally:
                os.close(descriptor)
            results.append(act())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def cookie(sock: socket.socket) -> int:
    """Return the cookie of the socket's namespace (socket(7), SO_NETNS_COOKIE)."""
    return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, SO_NETNS_COOKIE, 8), "little")


@contextmanager
def joined_pair(one: str = "10.77.13.1", other: str = "10.77.13.2") -> Iterator[tuple[str, str]]:
    """Make two namespaces joined by a veth pair with these addresses."""
    with namespace() as first, namespace() as second:
        ip("-n", first, "link", "add", "veth0", "type", "veth", "peer", "name", "veth0", "netns", second)
        for name, address in ((first, one), (second, other)):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "veth0")
            ip("-n", name, "link", "set", "veth0", "up")
        yield first, second
