"""The one loop that sends a request until it is answered, or until its policy says that this is enough."""

from collections.abc import Callable

from .effects import Plan, T, sleep
from .errors import K9Error
from .retries import Repeat, RetryPolicy, may_repeat, retry_after
from .runtime import Runtime

_LEAST_WAIT = 1.0
"""Seconds that a try is given whatever is left of the deadline: less, and the last one could not be answered."""


def attempt(
    send: Callable[[float], Plan[T]], repeat: Repeat, policy: RetryPolicy, runtime: Runtime, key: str | None = None
) -> Plan[T]:
    """What `send` ends in; it is called again, with the seconds that are left, while repeating can help.

    Raises the K9Error of the last try, which then has the number of tries and the request's idempotency key.
    """
    started = runtime.clock()
    number = 0
    while True:
        number += 1
        left = policy.deadline - (runtime.clock() - started)
        try:
            return (yield from send(max(left, _LEAST_WAIT)))
        except K9Error as error:
            error.attempts, error.idempotency_key = number, key
            pause = policy.pause(number, retry_after(error), runtime.jitter)
            is_over = number >= policy.attempts or runtime.clock() - started + pause > policy.deadline
            if is_over or not may_repeat(error, repeat):
                raise
        yield from sleep(pause)
