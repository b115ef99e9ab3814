"""Asking for an end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from scripts.local.signals import Interrupted, StopRequest

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    before = {number: signal.getsignal(number) for number in NUMBERS}
    made = StopRequest()
    made.listen()
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def test_nothing_was_asked(stop: StopRequest) -> None:
    stop.check()
    assert not stop.wait(0)


@pytest.mark.parametrize("number", NUMBERS)
def test_every_signal_asks_for_an_end_and_keeps_asking(stop: StopRequest, number: signal.Signals) -> None:
    os.kill(os.getpid(), number)
    assert stop.wait(0)
    with pytest.raises(Interrupted):
        stop.check()
    assert stop.wait(0)


def test_a_signal_ends_a_wait_at_once(stop: StopRequest) -> None:
    began = time.monotonic()
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    assert stop.wait(10)
    assert time.monotonic() - began < 5
    timer.join()


_SHOWER = "import os, signal, sys; [os.kill(int(sys.argv[1]), signal.SIGINT) for _ in range(50_000)]"


def test_no_signal_finds_a_moment_in_which_it_hangs(stop: StopRequest) -> None:
    """Thousands of signals into short waits; a threading.Event stands still for ever under these."""
    shower = subprocess.Popen([sys.executable, "-c", _SHOWER, str(os.getpid())])
    while shower.poll() is None:
        stop.wait(0.0001)
    assert shower.returncode == 0
    assert stop.wait(0)
