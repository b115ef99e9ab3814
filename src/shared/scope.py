"""What one request has spent so far: time, AWS calls, retries, capacity. Outside a request nothing is counted."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from .errors import Unavailable

CALL_WORST_CASE_SECONDS = 15.0
"""The longest that one AWS call may take: three tries of 1 s to connect and 3 s to read, plus 1 s + 2 s of backoff."""

LAST_CALL_STARTS_BY_SECONDS = 9.0
"""With this the last call ends before the function's 25 s timeout, itself below the gateway's 29 s."""


@dataclass(frozen=True, slots=True)
class Growth:
    """By how much a tenant's stored data grows, or shrinks: rows, and bytes of content (see `database.content`)."""

    rows: int = 0
    bytes: int = 0

    def __add__(self, other: "Growth") -> "Growth":
        return Growth(self.rows + other.rows, self.bytes + other.bytes)

    def __neg__(self) -> "Growth":
        return Growth(-self.rows, -self.bytes)

    def __bool__(self) -> bool:
        return bool(self.rows or self.bytes)


@dataclass(slots=True)
class Scope:
    """The account of one request; `started` is `time.monotonic()` in seconds."""

    started: float = field(default_factory=time.monotonic)
    aws_calls: int = 0
    retries: int = 0
    consumed_capacity: float = 0.0
    ownership_refusals: int = 0
    """Rows of others that were asked for by their id. The caller is told that there is no such row; operators count."""

    storage_of: str | None = None
    """The tenant whose growth the write path is to report, as it is limited; None for nobody's."""

    grown: Growth = field(default_factory=Growth)
    """At least what that tenant's stored data has grown by, as far as the write path knows."""

    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def count_call(self, retries: int) -> None:
        """Enter one AWS call; a batch makes them on several threads."""
        with self._lock:
            self.aws_calls += 1
            self.retries += retries

    def count_ownership_refusal(self) -> None:
        with self._lock:
            self.ownership_refusals += 1

    def count_growth(self, growth: Growth) -> None:
        """Enter what one write did to what is stored, or may have done."""
        with self._lock:
            self.grown += growth

    def count_capacity(self, units: float) -> None:
        with self._lock:
            self.consumed_capacity += units

    def ensure_time_for_a_call(self) -> None:
        """Raise Unavailable rather than begin an AWS call that might outlive the function."""
        if time.monotonic() - self.started > LAST_CALL_STARTS_BY_SECONDS:
            raise Unavailable("The request ran out of time before it was finished. Try again.")


_current: ContextVar[Scope | None] = ContextVar("k9_scope", default=None)


def current_scope() -> Scope | None:
    return _current.get()


@contextmanager
def request_scope() -> Iterator[Scope]:
    """Open the account of a request for the duration of the block."""
    scope = Scope()
    token = _current.set(scope)
    try:
        yield scope
    finally:
        _current.reset(token)
