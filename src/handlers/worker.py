"""The worker: what takes longer than a request may. It is invoked asynchronously, perhaps more than once for a task."""

from collections.abc import Callable, Mapping
from typing import Any

from shared.account.erasing import erase
from shared.account.exporting import export
from shared.account.status_object import ClaimLost as AccountClaimLost
from shared.errors import Unavailable
from shared.limits.recount import recount
from shared.similarity import jobs
from shared.similarity.matrix import ClaimLost
from shared.similarity.objects import default_objects
from shared.telemetry import log_warning

_RESERVE_MILLISECONDS = 30_000
"""Left for putting things in order before Lambda ends the function."""


class OutOfTime(Unavailable):
    """The function would be ended before the task is done; what is done so far is no harm."""

    def __init__(self) -> None:
        super().__init__("It takes longer than the worker may run.")


def tasks() -> Mapping[str, Callable[..., object]]:
    """What it can be asked for, by name."""
    return {
        "snapshot": jobs.refresh_snapshot,
        "matrix": jobs.build_matrix,
        "erase": erase,
        "export": export,
        "recount": recount,
    }


def handler(event: Mapping[str, Any], context: Any = None) -> None:
    """Do one task: `{"task": "snapshot", ...}` or `{"task": "matrix", ...}` (see `shared.similarity.jobs`), `{"task":
    "erase", ...}` or `{"task": "export", ...}` (see `shared.account`), `{"task": "recount", ...}` (`shared.limits`).

    One that another worker has taken over, that takes too long, or whose owner's account was erased ends without an
    error: Lambda would begin it anew, and then keep it, with the owner's id, in the queue of failures.
    What concerns an account is gone on with (`handlers.resume`).
    """
    arguments = {name: value for name, value in event.items() if name != "task"}
    try:
        tasks()[event["task"]](default_objects(), **arguments, check=_checking(context))
    except (OutOfTime, ClaimLost, AccountClaimLost, jobs.NoSuchModelVersion) as error:
        log_warning("a task was given up", task=event["task"], exception=type(error).__name__)


def _checking(context: Any) -> Callable[[], None]:
    """A check that raises OutOfTime; on a laptop there is no end."""

    def check() -> None:
        if context is not None and context.get_remaining_time_in_millis() < _RESERVE_MILLISECONDS:
            raise OutOfTime

    return check
