"""Asking the worker for a snapshot: whoever finds that one is due does, now and then, and goes on meanwhile."""

import threading
import time
from collections.abc import Callable

from ..models.fields import now
from ..process import per_process
from ..tasks import NOT_ASKED, request_task
from ..telemetry import log_warning

SNAPSHOT_ROWS = 500
"""So many rows read since the last snapshot are worth the next one, and a tenth of a larger index is."""

ASK_AGAIN_SECONDS = 60.0
_MAX_REMEMBERED = 10_000

Key = tuple[str, str]
"""Owner and model version."""


class Asker:
    """Asks for the snapshot of one model version at most once a minute; for a full one as well, whatever was asked
    before, since nothing else finds rows that reached the table's index too late."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._asked: dict[tuple[Key, bool], float] = {}
        self._lock = threading.Lock()

    def was_asked(self, key: Key) -> bool:
        """Whether a snapshot of any kind was asked for within the last minute."""
        return any(self._is_recent(key, full) for full in (False, True))

    def ask(self, key: Key, *, full: bool = False) -> None:
        """Have a snapshot made. Where the worker cannot be asked, that is logged, and nothing else: who asks has an
        answer to give that does not depend on it."""
        with self._lock:
            if self._is_recent(key, full=True) if full else self.was_asked(key):
                return
            self._remember(key, full)
        owner, model_version = key
        task = {"task": "snapshot", "owner": owner, "model_version": model_version, "full": full, "asked_at": now()}
        try:
            request_task(task)
        except NOT_ASKED as error:
            log_warning("the worker could not be asked for a snapshot", exception=type(error).__name__)

    def _is_recent(self, key: Key, full: bool) -> bool:
        return 0 <= self._clock() - self._asked.get((key, full), float("-inf")) < ASK_AGAIN_SECONDS

    def _remember(self, key: Key, full: bool) -> None:
        if len(self._asked) >= _MAX_REMEMBERED:
            self._asked = {asked: moment for asked, moment in self._asked.items() if self._is_recent(*asked)}
        self._asked[key, full] = self._clock()


@per_process
def default_asker() -> Asker:
    """The process's own."""
    return Asker()
