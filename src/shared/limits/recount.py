"""Counting anew what a tenant stores: what a worker does when somebody was refused for it.

The counters never are too low, and a process that ends before it has given room back leaves them too high. Setting them
right must not make them too low, while requests go on. So what is reserved since the recount began counts on top, and:

- the rows are read only once every request of before it must have ended, and the index shows what it stored;
- what was not given back when the counters are set is given back by no later request, as it is of a generation that is
  over; and what a request gives back itself it gives back within 20 s (`admission`), so that the counters are set more
  than that after the rows were read. What is lost by it errs on the safe side.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from ..database.content import CONTENT, content_bytes
from ..database.embeddings import EmbeddingRepository
from ..database.limit_counters import FAILURES, Claim, LimitCounters
from ..database.manager import DatabaseManager, default_manager
from ..database.model_versions import ModelVersionRepository
from ..database.reports import ReportRepository
from ..scope import Growth
from ..similarity.objects import ObjectStore
from ..telemetry import log_warning

SETTLE_SECONDS = 30.0
"""Longer than a request may take (25 s), and some lag of the index."""

_NAP_SECONDS = 1.0


def recount(
    objects: ObjectStore,
    *,
    user_id: str,
    check: Callable[[], None],
    manager: DatabaseManager | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Set the tenant's counters to what is stored; whether it was done, and not left to another. `check` may raise to
    end it, and nothing is changed then."""
    used = manager or default_manager()
    counters = LimitCounters(used)
    claim = counters.begin_recount(user_id)
    if claim is None:
        return False
    try:
        _wait(check, sleep)
        stored = _sum(_stored(used, user_id), check)
        _wait(check, sleep)
        return counters.finish_recount(user_id, claim, stored)
    except Exception:
        _give_up(counters, user_id, claim)
        raise


def _give_up(counters: LimitCounters, user_id: str, claim: Claim) -> None:
    """Where this fails as well, the claim ends by itself."""
    try:
        counters.give_up_recount(user_id, claim)
    except FAILURES as error:
        log_warning("the claim of a recount could not be given up", exception=type(error).__name__)


def _sum(pages: Iterable[Growth], check: Callable[[], None]) -> Growth:
    total = Growth()
    for growth in pages:
        check()
        total += growth
    return total


def _stored(manager: DatabaseManager, user_id: str) -> Iterator[Growth]:
    """Page by page."""
    for rows in ReportRepository(manager).contents(user_id, CONTENT):
        yield Growth(len(rows), sum(map(content_bytes, rows)))
    for model_version in ModelVersionRepository(manager).list_model_versions(user_id):
        for rows in EmbeddingRepository(manager).contents(user_id, model_version, CONTENT):
            yield Growth(len(rows), sum(map(content_bytes, rows)))


def _wait(check: Callable[[], None], sleep: Callable[[float], None]) -> None:
    for _ in range(int(SETTLE_SECONDS / _NAP_SECONDS)):
        check()
        sleep(_NAP_SECONDS)
