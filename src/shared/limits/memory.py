"""What a process remembers of the limits of the tenants that it serves. To forget it costs a call, or some room."""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from threading import Lock
from typing import Any

from ..config import RouteClass
from ..database.limit_counters import Used
from ..process import per_process
from ..scope import Growth

_ASK_EVERY_SECONDS = 60.0
_MAX_TENANTS = 10_000


@dataclass(frozen=True, slots=True)
class Returns:
    """What a tenant is to be given back, as long as the counters are of this generation (`limit_counters`)."""

    growth: Growth
    generation: str


@dataclass(frozen=True, slots=True)
class Full:
    """In this window there was no room for `growth`, whose members are 0 where there was; `used` is the item that said
    so."""

    window: int
    growth: Growth
    used: Used

    def and_of(self, other: "Full") -> "Full":
        """What is known by both, `other` being the later one."""
        if other.window != self.window:
            return other
        rows = _least(self.growth.rows, other.growth.rows)
        return Full(other.window, Growth(rows, _least(self.growth.bytes, other.growth.bytes)), other.used)

    def refuses(self, window: int, growth: Growth) -> bool:
        is_for_rows = 0 < self.growth.rows <= growth.rows
        is_for_bytes = 0 < self.growth.bytes <= growth.bytes
        return window == self.window and (is_for_rows or is_for_bytes)


class LimitMemory:
    """Of many tenants. `clock` is the wall's, since Lambda freezes a process between requests. Safe for threads."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self._lock = Lock()
        self._exhausted: dict[tuple[str, RouteClass], int] = {}
        self._refusals: dict[tuple[str, RouteClass], tuple[int, int]] = {}
        self._full: dict[str, Full] = {}
        self._leftovers: dict[str, tuple[str, ...]] = {}
        self._generations: dict[str, str] = {}
        self._returns: dict[str, Returns] = {}
        self._asked: dict[str, float] = {}

    def is_exhausted(self, user_id: str, route_class: RouteClass, window: int) -> bool:
        """Whether nothing is left of the window: what it counts never falls."""
        return self._exhausted.get((user_id, route_class)) == window

    def exhaust(self, user_id: str, route_class: RouteClass, window: int) -> None:
        with self._lock:
            _bound(self._exhausted)
            self._exhausted[user_id, route_class] = window

    def refused(self, user_id: str, route_class: RouteClass, window: int) -> int:
        """How many calls of this process were for requests of the window that were refused for want of room, this one
        included."""
        with self._lock:
            _bound(self._refusals)
            last, count = self._refusals.get((user_id, route_class), (window, 0))
            count = count + 1 if last == window else 1
            self._refusals[user_id, route_class] = window, count
            return count

    def full(self, user_id: str, window: int, growth: Growth) -> Full | None:
        """Where as much was refused in this window."""
        full = self._full.get(user_id)
        return full if full is not None and full.refuses(window, growth) else None

    def note_full(self, user_id: str, full: Full) -> None:
        with self._lock:
            before = self._full.get(user_id)
            _bound(self._full)
            self._full[user_id] = full if before is None else before.and_of(full)

    def forget_full(self, user_id: str) -> None:
        """Room was made."""
        with self._lock:
            self._full.pop(user_id, None)

    def leftovers(self, user_id: str) -> tuple[str, ...]:
        return self._leftovers.get(user_id, ())

    def note_leftovers(self, user_id: str, names: Collection[str]) -> None:
        with self._lock:
            self._leftovers.pop(user_id, None)
            if names:
                _bound(self._leftovers)
                self._leftovers[user_id] = tuple(names)

    def generation(self, user_id: str) -> str | None:
        """That of the tenant's counters, as they were seen last."""
        return self._generations.get(user_id)

    def note_generation(self, user_id: str, generation: str | None) -> None:
        with self._lock:
            self._generations.pop(user_id, None)
            if generation is not None:
                _bound(self._generations)
                self._generations[user_id] = generation

    def keep(self, user_id: str, returns: Returns) -> None:
        """Keep what is to be given back until there is a call that takes it along; what is of another generation, which
        is over, goes."""
        with self._lock:
            self._full.pop(user_id, None)
            kept = self._returns.get(user_id)
            if kept is not None and kept.generation == returns.generation:
                returns = Returns(kept.growth + returns.growth, returns.generation)
            elif kept is not None and kept.generation == self._generations.get(user_id):
                return
            _bound(self._returns)
            self._returns[user_id] = returns

    def take(self, user_id: str) -> Returns | None:
        """What is to be given back; it is forgotten here."""
        with self._lock:
            return self._returns.pop(user_id, None)

    def may_ask(self, user_id: str) -> bool:
        """Whether this process has not asked for a recount within the last minute; it counts as having asked now."""
        with self._lock:
            moment = self.clock()
            if 0 <= moment - self._asked.get(user_id, 0.0) < _ASK_EVERY_SECONDS:
                return False
            _bound(self._asked)
            self._asked[user_id] = moment
            return True


def _least(one: int, other: int) -> int:
    """The lesser of two amounts, of which 0 is none."""
    return min(one or other, other or one)


def _bound(kept: dict[Any, Any]) -> None:
    if len(kept) >= _MAX_TENANTS:
        kept.clear()


@per_process
def process_memory() -> LimitMemory:
    return LimitMemory()
