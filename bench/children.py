"""Child processes that end with the benchmark, however it ends."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG, linux/prctl.h
_END_WITHIN = 10.0
_libc = ctypes.CDLL(None)


class ChildFailedError(Exception):
    """A server, a load generator or a logger did not do what it was started for."""


@contextmanager
def child(command: Sequence[str | Path], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in the background; SIGINT ends it with the block, SIGKILL if that is not enough.

    Args:
        command: The command and its arguments.
        log: Where its output and errors go.
    """
    with log.open("wb") as file:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has one thread
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a child: first as Ctrl-C would, so that it writes what it has."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_END_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def output(command: Sequence[str | Path], within: float) -> str:
    """Run a command to its end and give what it printed.

    Raises:
        ChildFailedError: It failed, or took longer than `within` seconds.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=within,
            text=True,
            check=False,
            preexec_fn=_end_with_parent,
        )
    except subprocess.TimeoutExpired as error:
        raise ChildFailedError(f"{words[0]} took longer than {within:.0f} s") from error
    if done.returncode:
        raise ChildFailedError(f"{' '.join(words)}: exit {done.returncode}: {done.stdout.strip()[-500:]}")
    return done.stdout


def await_true(
    process: subprocess.Popen[bytes], condition: Callable[[], bool], log: Path | None, within: float = 15
) -> None:
    """Wait until a child is ready; `log` is what it said, unless that is on the terminal.

    Raises:
        ChildFailedError: It ended, or was not ready in time; with the end of what it said.
    """
    deadline = time.monotonic() + within
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(encoding="utf-8", errors="replace").strip()[-800:] if log else "see above"
            state = f"ended with {process.returncode}" if process.returncode is not None else "was not ready in time"
            raise ChildFailedError(f"{process.args!r} {state}: {said}")
        time.sleep(0.02)


def free_port() -> int:
    """Give a TCP port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(port: int) -> bool:
    """Say whether somebody listens there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _end_with_parent() -> None:
    _libc.prctl(_DEATH_SIGNAL, signal.SIGKILL)
