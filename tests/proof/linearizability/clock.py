"""The time of a simulation: it passes when the scheduler says so, and each process may take it for another."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, tzinfo
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.endpoint
from botocore.retries.quota import RetryQuota

from shared import scope
from shared.database import writes
from shared.models import fields

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_TICKS = (0, 0, 0, 1, 40, 3_000, 250_000)
"""Microseconds between two turns: often none, so that requests begin at the very same time."""


class Clock:
    """`skew` is how far the clock of the process that the running thread stands for is from the true one."""

    def __init__(self) -> None:
        self._passed = timedelta()
        self._process = threading.local()

    @property
    def skew(self) -> timedelta:
        skew: timedelta = getattr(self._process, "skew", timedelta())
        return skew

    @skew.setter
    def skew(self, skew: timedelta) -> None:
        self._process.skew = skew

    def tick(self, source: random.Random) -> None:
        self._passed += timedelta(microseconds=source.choice(_TICKS))

    def pass_(self, time: timedelta) -> None:
        self._passed += time

    def now(self) -> datetime:
        return _BEGIN + self._passed + self.skew


@contextmanager
def simulated(now: Callable[[], datetime], sleep: Callable[[], None]) -> Iterator[None]:
    """`now` is what the code under test takes for the time, and `sleep` happens wherever it would pause.

    How long it wants to pause is left out: the scheduler may let anybody stand still for as long as it likes. No
    request runs out of its time, which would be that of the machine. And the SDK's quota of retries, which one history
    would leave to the next, is always full, as a new process has more than a history can use.
    """

    class Simulated(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return now()

    still = SimpleNamespace(sleep=lambda seconds: sleep(), monotonic=time.monotonic, time=time.time)
    with (
        patch.object(fields, "datetime", Simulated),
        patch.object(writes, "time", still),
        patch.object(botocore.endpoint, "time", still),
        patch.object(scope, "time", SimpleNamespace(monotonic=lambda: 0.0)),
        patch.object(RetryQuota, "acquire", lambda quota, amount: True),
    ):
        yield
