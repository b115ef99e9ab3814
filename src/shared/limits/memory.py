"""What a process remembers of the limits of the tenants that it serves. To forget it costs a call, or some room."""

import time
from collections.abc import Callable, Collection
from threading import Lock
from typing import Any

from ..config import RouteClass
from ..process import per_process
from ..scope import Growth

GIVE_BACK_WITHIN_SECONDS = 20.0
"""Room that was reserved by a request, or freed by it, is given back so long after the request began, or never: a
recount waits for it (`recount`)."""

_ASK_EVERY_SECONDS = 60.0
_MAX_TENANTS = 10_000

_Return = tuple[Growth, float]


class LimitMemory:
    """Of many tenants. `clock` is the wall's, since Lambda freezes a process between requests. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._lock = Lock()
        self._exhausted: dict[tuple[str, RouteClass], int] = {}
        self._leftovers: dict[str, tuple[str, ...]] = {}
        self._returns: dict[str, list[_Return]] = {}
        self._asked: dict[str, float] = {}

    def is_exhausted(self, user_id: str, route_class: RouteClass, window: int) -> bool:
        """Whether nothing is left of the window: what it counts never falls."""
        return self._exhausted.get((user_id, route_class)) == window

    def exhaust(self, user_id: str, route_class: RouteClass, window: int) -> None:
        with self._lock:
            _bound(self._exhausted)
            self._exhausted[user_id, route_class] = window

    def leftovers(self, user_id: str) -> tuple[str, ...]:
        return self._leftovers.get(user_id, ())

    def note_leftovers(self, user_id: str, names: Collection[str]) -> None:
        with self._lock:
            self._leftovers.pop(user_id, None)
            if names:
                _bound(self._leftovers)
                self._leftovers[user_id] = tuple(names)

    def keep(self, user_id: str, growth: Growth, since: float) -> None:
        """Keep what a request that began at `since` gives back, until there is a call that takes it along."""
        with self._lock:
            _bound(self._returns)
            self._returns.setdefault(user_id, []).append((growth, since))

    def take(self, user_id: str) -> list[_Return]:
        """What is to be given back, and not too old for it; it is forgotten here."""
        with self._lock:
            kept = self._returns.pop(user_id, [])
        return [(growth, since) for growth, since in kept if 0 <= self.clock() - since < GIVE_BACK_WITHIN_SECONDS]

    def put_back(self, user_id: str, returns: Collection[_Return]) -> None:
        """Keep once more what was taken and not given back."""
        for growth, since in returns:
            self.keep(user_id, growth, since)

    def may_ask(self, user_id: str) -> bool:
        """Whether this process has not asked for a recount within the last minute; it counts as having asked now."""
        with self._lock:
            moment = self.clock()
            if 0 <= moment - self._asked.get(user_id, 0.0) < _ASK_EVERY_SECONDS:
                return False
            _bound(self._asked)
            self._asked[user_id] = moment
            return True


def _bound(kept: dict[Any, Any]) -> None:
    if len(kept) >= _MAX_TENANTS:
        kept.clear()


@per_process
def process_memory() -> LimitMemory:
    return LimitMemory()
