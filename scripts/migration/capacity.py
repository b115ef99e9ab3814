"""How fast may be written: a bucket of capacity units, and as many calls at once as the tables bear."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_BURST_SECONDS = 1.0


class CapacityLimit:
    """A token bucket of write units: no more than `units_per_second` are spent over any longer time.

    None is no limit. What a call consumed in truth is settled afterwards.
    """

    def __init__(
        self,
        units_per_second: float | None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = units_per_second
        self._tokens = (units_per_second or 0) * _BURST_SECONDS
        self._clock = clock
        self._sleep = sleep
        self._filled_at = clock()
        self._lock = threading.Lock()
        self.consumed = 0.0

    def spend(self, estimate: float) -> None:
        """Wait until there is room for so many units."""
        if self._rate is None:
            return
        with self._lock:
            self._fill(self._rate)
            self._tokens -= estimate
            debt = -self._tokens / self._rate
        if debt > 0:
            self._sleep(debt)

    def settle(self, estimate: float, consumed: float) -> None:
        """Enter what a call consumed in place of what was estimated."""
        with self._lock:
            self.consumed += consumed
            self._tokens += estimate - consumed

    def _fill(self, rate: float) -> None:
        now = self._clock()
        self._tokens = min(rate * _BURST_SECONDS, self._tokens + (now - self._filled_at) * rate)
        self._filled_at = now


class AdaptiveConcurrency:
    """So many calls at once as go through: half as many after a throttle, one more after each round without one."""

    _PATIENCE = 0.5
    """Seconds in which several throttles count as one: they met the same moment."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._limit = float(most)
        self._running = 0
        self._throttled_at = float("-inf")
        self._clock = clock
        self._changed = threading.Condition()
        self.throttles = 0

    @property
    def limit(self) -> int:
        return int(self._limit)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Waits until one more call may run."""
        with self._changed:
            self._changed.wait_for(lambda: self._running < int(self._limit))
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify()

    def throttled(self) -> None:
        with self._changed:
            self.throttles += 1
            if self._clock() - self._throttled_at >= self._PATIENCE:
                self._throttled_at = self._clock()
                self._limit = max(1.0, self._limit / 2)

    def succeeded(self) -> None:
        with self._changed:
            if self._limit < self._most:
                self._limit = min(float(self._most), self._limit + 1 / self._limit)
                self._changed.notify()
