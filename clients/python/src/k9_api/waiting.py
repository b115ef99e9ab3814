"""Waiting for what the API does in the background."""

from collections.abc import Callable

from .effects import Plan, T, sleep
from .errors import WaitTimeout
from .runtime import Runtime

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 5.0
_GROWTH = 1.5


def until(
    ask: Callable[[], Plan[T]], is_so: Callable[[T], bool], timeout: float, runtime: Runtime, what: str
) -> Plan[T]:
    """The first answer for which it is so; asked ever more slowly, up to every 5 seconds.

    Raises WaitTimeout after `timeout` seconds, and what `ask` raises.
    """
    deadline = runtime.clock() + timeout
    pause = _FIRST_PAUSE
    while True:
        answer = yield from ask()
        if is_so(answer):
            return answer
        left = deadline - runtime.clock()
        if left <= 0:
            raise WaitTimeout(f"{what}: not so after {timeout:g} s")
        yield from sleep(min(pause, left))
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)
