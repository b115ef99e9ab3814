"""One call of the writer, made until it has an answer that will not change: paced, counted, with full jitter."""

import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from scripts.deployment.failure import explain
from scripts.migration.capacity import AdaptiveConcurrency, CapacityLimit
from scripts.migration.failure import MigrationError
from shared.errors import TooManyRequests, Unavailable

CONNECT_SECONDS, READ_SECONDS = 5, 20
"""The client's own limits of one try: to be connected, and for the first word of an answer."""

_TRIES = 12
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 10.0

T = TypeVar("T")


class GaveUp(Exception):
    """A call got no final answer after all its tries; the row may or may not have been written."""


class Stopped(Exception):
    """Another part of the run has failed, or a person has stopped it: nothing more is sent."""


class Caller:
    """Makes the calls of one run. `may_write` is asked before each try, and raises where the run must not go on."""

    def __init__(
        self,
        limit: CapacityLimit,
        concurrency: AdaptiveConcurrency,
        may_write: Callable[[], None] = lambda: None,
        sleep: Callable[[float], None] = time.sleep,
        tries: int = _TRIES,
    ) -> None:
        self.limit = limit
        self.concurrency = concurrency
        self.stopping = threading.Event()
        self._may_write = may_write
        self._sleep = sleep
        self._tries = tries

    def call(self, make: Callable[[], T], estimate: float, consumed: Callable[[T], float]) -> T:
        """What `make` returns, tried again where it is throttled or gets no answer.

        Raises GaveUp after the last try, Stopped, MigrationError for what no further try would change, and whatever
        else `make` raises.
        """
        for attempt in range(self._tries):
            self.pause(attempt)
            self.limit.spend(estimate)
            try:
                with self.concurrency.slot():
                    self.check()
                    answer = make()
            except TooManyRequests:
                self.limit.settle(estimate, 0)
                self.concurrency.throttled()
            except Unavailable:  # OutcomeUnknown is one: who makes the call can tell by its next answer
                self.limit.settle(estimate, estimate)
            except (ClientError, BotoCoreError) as error:
                raise MigrationError(explain(error)) from error
            else:
                self.concurrency.succeeded()
                self.limit.settle(estimate, consumed(answer))
                return answer
        raise GaveUp

    def check(self) -> None:
        """Raises Stopped, or what `may_write` raises, where nothing more may be sent."""
        if self.stopping.is_set():
            raise Stopped
        self._may_write()

    def pause(self, attempt: int) -> None:
        """Full jitter before all but the first try."""
        if attempt:
            longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
            self._sleep(random.uniform(0, longest))  # noqa: S311 - not a secret


def units_of(answer: Mapping[str, Any]) -> float:
    """Capacity units of an answer; those of a batch come table by table."""
    stated = answer.get("ConsumedCapacity") or {}
    return float(sum(entry.get("CapacityUnits", 0) for entry in (stated if isinstance(stated, list) else [stated])))
