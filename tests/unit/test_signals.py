import os
import signal
from collections.abc import Iterator

import pytest

from masthead.commands.signals import Signals

_TAKEN = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP, signal.SIGALRM)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in _TAKEN}
    yield
    signal.alarm(0)
    for number, handler in before.items():
        signal.signal(number, handler)


def test_each_signal_asks_for_its_own() -> None:
    signals = Signals()
    signals.install()
    for number in (signal.SIGUSR1, signal.SIGHUP):
        signal.raise_signal(number)
    assert (signals.stop, signals.report, signals.reload) == (False, True, True)
    signal.raise_signal(signal.SIGTERM)
    assert signals.stop


def test_a_lost_terminal_ends_a_command_in_the_foreground(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: descriptor == 2)
    signals = Signals()
    signals.install()
    signal.raise_signal(signal.SIGHUP)
    assert (signals.stop, signals.reload) == (False, True)
    monkeypatch.setattr(os, "isatty", lambda _: False)
    signal.raise_signal(signal.SIGHUP)
    assert signals.stop


def test_a_write_that_hangs_after_the_stop_is_given_up() -> None:
    signals = Signals()
    signals.install()
    with pytest.raises(OSError, match="gave up waiting"):
        signal.raise_signal(signal.SIGALRM)
    signal.raise_signal(signal.SIGINT)
    assert signal.alarm(0) > 0
    signal.raise_signal(signal.SIGINT)
    signals.settled()
    assert signal.alarm(0) == 0


def test_asking_twice_does_not_break_into_the_end() -> None:
    signals = Signals()
    signals.install()
    signal.raise_signal(signal.SIGTERM)
    signals.settled()
    signal.raise_signal(signal.SIGTERM)
    assert signal.alarm(0) == 0
    # One that was on its way already.
    signal.raise_signal(signal.SIGALRM)
