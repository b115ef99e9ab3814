"""Many calls at once, each with its own outcome: in place of BatchWriteItem, which knows no conditions."""

import contextvars
import random
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..errors import ApiError, TooManyRequests

_THREADS = 16
_THROTTLED_FOR_SECONDS = 3.0
"""How long throttled calls are tried again before they are reported."""

_LONGEST_PAUSE_SECONDS = 0.8

T = TypeVar("T")


def run_all(calls: Sequence[Callable[[], T]]) -> list[T | ApiError]:
    """The outcome of every call in order, its value or the ApiError it raised; anything else it raised is raised.

    Throttled calls are made again with full jitter until time is up, then left as the TooManyRequests they are.
    """
    outcomes: dict[int, T | ApiError] = {}
    waiting, deadline, rounds = list(range(len(calls))), time.monotonic() + _THROTTLED_FOR_SECONDS, 0
    with ThreadPoolExecutor(max(1, min(_THREADS, len(calls)))) as pool:
        while waiting:
            copies = [(index, contextvars.copy_context()) for index in waiting]
            futures = {index: pool.submit(context.run, _outcome, calls[index]) for index, context in copies}
            outcomes |= {index: future.result() for index, future in futures.items()}
            waiting = [index for index in waiting if isinstance(outcomes[index], TooManyRequests)]
            rounds += 1
            pause = random.uniform(0, min(_LONGEST_PAUSE_SECONDS, 0.05 * 2**rounds))  # noqa: S311 - not a secret
            if not waiting or time.monotonic() + pause > deadline:
                break
            time.sleep(pause)
    return [outcomes[index] for index in range(len(calls))]


def values_of(outcomes: Iterable[T | ApiError]) -> list[T]:
    """The values of outcomes. Raises the first error among them."""
    values: list[T] = []
    for outcome in outcomes:
        if isinstance(outcome, ApiError):
            raise outcome
        values.append(outcome)
    return values


def _outcome(call: Callable[[], T]) -> T | ApiError:
    try:
        return call()
    except ApiError as error:
        return error
