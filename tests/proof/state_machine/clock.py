"""A clock that only steps move: what depends on time is the same in every run, and an hour passes at once."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import botocore.endpoint

from shared.avatars import requesting
from shared.database import parallel, settled, writes
from shared.models import fields
from shared.models.fields import parse_timestamp, timestamp
from shared.similarity import asking, cache, lease, snapshot

_SECOND = 1_000_000


class Clock:
    """The time of day in whole microseconds; each look at it takes one, so that no two moments are the same."""

    def __init__(self) -> None:
        self._now = int(time.time()) * _SECOND
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self._now += 1
            return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=self._now)

    def time(self) -> float:
        return self.now().timestamp()

    def text(self) -> str:
        return timestamp(self.now())

    def pass_time(self, seconds: float) -> None:
        with self._lock:
            self._now += int(seconds * _SECOND)

    def pass_to(self, moment: str) -> None:
        self.pass_time(max(0.0, (parse_timestamp(moment) - self.now()).total_seconds() + 1))


@contextmanager
def followed(clock: Clock) -> Iterator[None]:
    """Have the product go by this clock in the block, and wait for nothing."""

    class Moment(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock.now()

    passed = 0.0

    def sleep(seconds: float) -> None:
        nonlocal passed
        passed += seconds

    waiting = SimpleNamespace(sleep=sleep, monotonic=lambda: passed)
    pausing = SimpleNamespace(sleep=sleep, monotonic=time.monotonic)
    with ExitStack() as stack:
        for module in (fields, snapshot, lease, requesting):
            stack.enter_context(patch.object(module, "datetime", Moment))
        for kept in (cache.IndexCache, asking.Asker, settled.Settled):
            stack.enter_context(patch.object(kept.__init__, "__defaults__", (clock.time,)))
        stack.enter_context(patch.object(parallel, "time", waiting))
        stack.enter_context(patch.object(writes, "time", pausing))
        stack.enter_context(patch.object(botocore.endpoint, "time", pausing))
        yield
