"""A time of day that passes only when somebody looks at it, or when it is told to."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from threading import Lock
from typing import Any
from unittest.mock import patch

_BEGINNING = datetime(2026, 3, 14, 9, tzinfo=UTC)
_LOOK = timedelta(milliseconds=1)
_LOOKERS = (
    "shared.models.fields",
    "shared.similarity.lease",
    "shared.similarity.snapshot",
    "shared.avatars.requesting",
)
"""Modules of the product that ask for the time of day; all others ask `models.fields`."""


@dataclass
class Clock:
    """No two looks see the same moment, so that times tell an order and nothing depends on how fast this machine is."""

    moment: datetime = _BEGINNING
    _lock: Lock = field(default_factory=Lock)

    def now(self) -> datetime:
        with self._lock:
            self.moment += _LOOK
            return self.moment

    def pass_time(self, **time: float) -> None:
        self.moment += timedelta(**time)


@contextmanager
def ruling(clock: Clock) -> Iterator[None]:
    """Let the product, and the engine's times of objects, go by this clock."""

    class Moment(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return clock.now().astimezone(tz)

    with ExitStack() as stack:
        for module in _LOOKERS:
            stack.enter_context(patch(f"{module}.datetime", Moment))
        stack.enter_context(patch("moto.s3.models.utcnow", lambda: clock.now().replace(tzinfo=None)))
        yield
