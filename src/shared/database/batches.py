"""BatchWriteItem, which knows no conditions: for rows that go whatever they hold, those of an account that is erased.

A batch may be sent again at any time, since it leaves the same behind.
"""

import random
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from ..errors import OutcomeUnknown, TooManyRequests
from .manager import DatabaseManager
from .parallel import run_all, values_of

MOST_ITEMS = 25
"""The most that one call takes."""

_ROUNDS = 8
_LONGEST_PAUSE_SECONDS = 2.0

Requests = Sequence[dict[str, Any]]


def write_all(manager: DatabaseManager, table: str, requests: Requests, check: Callable[[], None]) -> None:
    """Have every request of BatchWriteItem done, many calls at once; `check` may raise before one to end it.

    Raises TooManyRequests or Unavailable where that takes too many tries; some may be done then.
    """
    chunks = [requests[start : start + MOST_ITEMS] for start in range(0, len(requests), MOST_ITEMS)]
    values_of(run_all([partial(_write, manager, table, chunk, check) for chunk in chunks]))


def _write(manager: DatabaseManager, table: str, requests: Requests, check: Callable[[], None]) -> None:
    """One batch. What DynamoDB leaves unprocessed comes in a successful answer, and is sent again."""
    waiting = list(requests)
    for attempt in range(_ROUNDS):
        if attempt:
            longest = min(_LONGEST_PAUSE_SECONDS, 0.05 * 2**attempt)
            time.sleep(random.uniform(0, longest))  # noqa: S311 - not a secret
        check()
        try:
            answer = manager.call("batch_write_item", RequestItems={table: waiting})
        except OutcomeUnknown:
            continue  # done or not, it may be done again
        waiting = answer.get("UnprocessedItems", {}).get(table, [])
        if not waiting:
            return
    raise TooManyRequests
