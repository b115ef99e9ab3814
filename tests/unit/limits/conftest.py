"""Limits that are on, a clock that stands still, and recounts that need not wait."""

from collections.abc import Callable

import pytest

from shared.config import get_settings, get_tenant_limits
from shared.limits import memory, recount
from shared.limits.memory import LimitMemory, process_memory

START = 1_800_000_003.0
"""Three seconds into a window."""


class Clock:
    """The wall clock of limits."""

    def __init__(self) -> None:
        self.moment = START

    def __call__(self) -> float:
        return self.moment


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    stopped = Clock()

    def with_clock(given: Callable[[], float] = stopped) -> LimitMemory:
        return LimitMemory(given)

    monkeypatch.setattr(memory, "LimitMemory", with_clock)
    return stopped


Limits = Callable[..., None]


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Limits:
    """Turns limits on, by the last words of their variables; the process forgets what it knew of them."""
    monkeypatch.setattr(recount, "SETTLE_SECONDS", 0.0)

    def turn_on(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"LIMIT_{name.upper()}", str(value))
        for kept in (get_settings, get_tenant_limits, process_memory):
            kept.cache_clear()

    return turn_on
