"""Ctrl-C and its kin as a flag that the main thread looks at between two steps, so that no step is torn apart."""

import contextlib
import os
import select
import signal
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(Exception):
    """The user asked for an end."""


class StopRequest:
    """Set by the first signal; later ones change nothing, so an impatient second Ctrl-C cannot cut the save short.

    A pipe and not a threading.Event: a handler runs within whatever the main thread is doing, and would wait for
    ever for the Event's lock where that is the waiting for this very Event.
    """

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)

    def listen(self) -> None:
        # Set even where the shell started us with SIGINT ignored, as it does for background jobs.
        for number in _SIGNALS:
            signal.signal(number, self._on_signal)

    def check(self) -> None:
        if self.wait(0):
            raise Interrupted

    def wait(self, seconds: float) -> bool:
        """Whether an end was asked for, within that time at the latest."""
        readable, _, _ = select.select([self._reader], [], [], seconds)
        return bool(readable)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b"!")
