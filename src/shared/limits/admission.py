"""Whether one request of a tenant is within their limits: counted, and room for it reserved, in one call at most.

- A request of a window that this process knows to be exhausted is refused without a call, as is one that needs as much
  room as it knows that there was not in this window; a request that is refused for want of room counts in the window of
  this process alone.
- Room is reserved before the handler runs, for the most that the request can store. What it did not store after all is
  given back with this process's next call for the tenant, as is what it deleted; where the request has made no call,
  with one of its own. Where the tenant's rows were counted anew before that next call, it is repeated without.
- Where the table of limits does not answer, a request that can store more is refused (503), as nothing could be held
  otherwise; any other goes on, and the log says so.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, NoReturn

from ..config import LIMIT_WINDOW_SECONDS, RouteClass, TenantLimits
from ..database.limit_counters import FAILURES, LimitCounters, OverLimit, Use, Used, window_at
from ..database.manager import DatabaseManager, default_manager
from ..errors import LimitExceeded, OutcomeUnknown, Uncounted
from ..models.fields import timestamp
from ..scope import Growth, current_scope
from ..tasks import NOT_ASKED, request_task
from ..telemetry import log_warning
from .fields import Policy, fields
from .memory import Full, LimitMemory, Returns, process_memory

STORAGE_RETRY_SECONDS = 120
"""A recount takes a minute and what it takes to read the rows."""

MANY_LEFTOVERS = 100
"""Counts of past windows that one process leaves to the next. More of them are removed at once, by a call more: they
come from a hundred requests at least, each of which met a process that had never seen the tenant."""

GIVE_BACK_WITHIN_SECONDS = 20.0
"""Of its beginning, a request gives back what it deleted whatever recounts there were: between reading the rows and
setting the counters they wait longer, and so have counted what was deleted then (`recount`)."""

_NOTHING = Growth()


@dataclass(slots=True)
class Admission:
    """A request that may be answered: what it reserved, header fields for its answer, and what the log is to say."""

    limits: TenantLimits
    user_id: str
    began: float
    counters: LimitCounters
    memory: LimitMemory
    generation: str | None
    """Of the tenant's counters, as they were seen before the request was handled; None where they were not."""

    reserved: Growth = _NOTHING
    has_called: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)

    def settle(self) -> None:
        """Give back what was reserved and not used, and what was deleted. Raises nothing: it is a count, no more."""
        scope = current_scope()
        if scope is None or scope.storage_of is None:
            return
        unused = scope.grown + -self.reserved
        freed = Growth(min(0, unused.rows), min(0, unused.bytes))
        if not freed:
            return
        if not self.has_called:
            self._give_back(freed)
        elif self.generation is not None:
            self.memory.keep(self.user_id, Returns(freed, self.generation))

    def _give_back(self, freed: Growth) -> None:
        """By a call of its own."""
        moment = self.memory.clock()
        is_in_time = moment - self.began < GIVE_BACK_WITHIN_SECONDS
        if not is_in_time and self.generation is None:
            return
        generation = None if is_in_time else self.generation
        use = Use(self.user_id, window_at(moment), given_back=freed, generation=generation, began=_text(self.began))
        try:
            used = self.counters.use(use, self.limits)
        except OverLimit as refusal:  # of another generation, or made anew
            self.memory.note_generation(self.user_id, refusal.used.generation)
        except FAILURES as error:
            returns = None if self.generation is None else Returns(freed, self.generation)
            _keep_if_unsent(self.memory, self.user_id, returns, error)
            self.details["limits_unavailable"] = 1
        else:
            self.memory.note_generation(self.user_id, used.generation)
            self.memory.forget_full(self.user_id)


def admit(
    limits: TenantLimits,
    user_id: str,
    route_class: RouteClass | None,
    growth: Growth,
    *,
    manager: DatabaseManager | None = None,
    memory: LimitMemory | None = None,
) -> Admission:
    """Count a request that may store `growth` more. Raises LimitExceeded, or Unavailable (see above)."""
    counters = LimitCounters(manager or default_manager())
    remembered = memory or process_memory()
    scope = current_scope()
    if scope is not None and limits.has_storage:
        scope.storage_of = user_id
    admission = Admission(limits, user_id, remembered.clock(), counters, remembered, remembered.generation(user_id))
    _Admitting(admission, route_class if route_class in limits.quotas else None, growth).run()
    return admission


@dataclass(frozen=True, slots=True)
class _Admitting:
    """The way to an admission."""

    admission: Admission
    route_class: RouteClass | None
    """Where it is limited."""

    growth: Growth

    def run(self) -> None:
        if self.route_class and self._memory.is_exhausted(self._user_id, self.route_class, self._window):
            self._refuse_rate(self.route_class)
        too_much = [name for name, limit in self._storage() if getattr(self.growth, name) > limit]
        if too_much:
            self._refuse_storage(too_much, None)
        full = self._memory.full(self._user_id, self._window, self.growth)
        if full is not None:
            self._refuse_for_room(full)
        if self.route_class or self.growth:
            self._count()

    def _count(self) -> None:
        returns = self._memory.take(self._user_id)
        self.admission.has_called = True
        try:
            used = self._use(returns)
        except OverLimit as refusal:
            self._memory.note_generation(self._user_id, refusal.used.generation)
            if returns is not None and returns.generation != refusal.used.generation:
                self._count()  # without them: a recount came in between
                return
            if returns is not None:
                self._memory.keep(self._user_id, returns)
            self._refuse(refusal.used, _NOTHING if returns is None else returns.growth)
        except FAILURES as error:
            _keep_if_unsent(self._memory, self._user_id, returns, error)
            self._go_on_uncounted(error)
        else:
            self._note(used)

    def _use(self, returns: Returns | None) -> Used:
        leftovers = self._memory.leftovers(self._user_id)
        began = _text(self.admission.began)
        use = Use(self._user_id, self._window, self.route_class, self.growth, leftovers=leftovers, began=began)
        if returns is not None:
            use = replace(use, given_back=returns.growth, generation=returns.generation)
        return self.admission.counters.use(use, self.admission.limits)

    def _note(self, used: Used) -> None:
        self.admission.reserved = self.growth
        self.admission.generation = used.generation
        self._memory.note_generation(self._user_id, used.generation)
        left = used.leftovers(self._window)
        self._memory.note_leftovers(self._user_id, left)
        if self.route_class and used.count(self.route_class, self._window) >= self._quota(self.route_class):
            self._memory.exhaust(self._user_id, self.route_class, self._window)
        self.admission.headers = fields(self._policies(used))
        if len(left) > MANY_LEFTOVERS:
            self._tidy(left)

    def _tidy(self, leftovers: Sequence[str]) -> None:
        try:
            self.admission.counters.use(Use(self._user_id, self._window, leftovers=leftovers), self.admission.limits)
        except FAILURES:
            self.admission.details["limits_unavailable"] = 1
        else:
            self._memory.note_leftovers(self._user_id, ())

    def _go_on_uncounted(self, error: Exception) -> None:
        if self.growth:
            raise Uncounted from error
        self.admission.headers = fields(self._policies(None))
        self.admission.details["limits_unavailable"] = 1

    def _refuse(self, used: Used, given_back: Growth) -> NoReturn:
        if self.route_class and used.count(self.route_class, self._window) >= self._quota(self.route_class):
            self._memory.exhaust(self._user_id, self.route_class, self._window)
            self._refuse_rate(self.route_class)
        full = Full(self._window, self._lacking(used, given_back), used.without_counts())
        self._memory.note_full(self._user_id, full)
        if self.route_class:
            calls = self._memory.refused(self._user_id, self.route_class, self._window)
            if calls >= self._quota(self.route_class):
                self._memory.exhaust(self._user_id, self.route_class, self._window)
        self._refuse_for_room(full)

    def _lacking(self, used: Used, given_back: Growth) -> Growth:
        """The growth, without what there is room for."""
        missing = {
            name: getattr(self.growth, name)
            for name, limit in self._storage()
            if getattr(self.growth, name) > used.room(limit, name, getattr(given_back, name))
        }
        return Growth(missing.get("rows", 0), missing.get("bytes", 0))

    def _refuse_for_room(self, full: Full) -> NoReturn:
        used = full.used
        reached = [
            name
            for name, limit in self._storage()
            if getattr(full.growth, name) and used.stored(name) + getattr(self.growth, name) > limit
        ]
        self._ask_for_recount(used)
        self._refuse_storage(reached, used)

    def _refuse_rate(self, route_class: RouteClass) -> NoReturn:
        quota, wait = self._quota(route_class), self._seconds_left()
        raise LimitExceeded(
            f"More than {quota} requests of the class {route_class!r} in {LIMIT_WINDOW_SECONDS} seconds, which is the"
            f" limit of one account. Nothing was changed. Go on in {wait} seconds.",
            violated=[route_class],
            retry_after=wait,
            fields=fields([self._rate_policy(route_class, 0)]),
        )

    def _refuse_storage(self, full: Sequence[str], used: Used | None) -> NoReturn:
        """`full` are the limits that are reached; where there are none, it is not yet known what the account stores."""
        violated = full or [name for name, _ in self._storage()]
        to_do = _NEVER_FITS if used is None else _TO_DO
        raise LimitExceeded(
            " ".join([*(self._fullness(name, used) for name in full), *([] if full else [_BEING_COUNTED]), to_do]),
            violated=violated,
            retry_after=STORAGE_RETRY_SECONDS,
            fields=fields(self._storage_policies(used)),
        )

    def _fullness(self, name: str, used: Used | None) -> str:
        limit, wanted = dict(self._storage())[name], getattr(self.growth, name)
        beside = "" if used is None else f" beside the {used.stored(name)} that are counted"
        return f"An account may store {limit} {name}; {wanted} more do not fit{beside}."

    def _ask_for_recount(self, used: Used) -> None:
        if not used.may_be_recounted or not self._memory.may_ask(self._user_id):
            return
        try:
            request_task({"task": "recount", "user_id": self._user_id})
        except NOT_ASKED as error:
            log_warning("the worker could not be asked", task="recount", exception=type(error).__name__)

    def _policies(self, used: Used | None) -> list[Policy]:
        rate = []
        if self.route_class:
            count = None if used is None else used.count(self.route_class, self._window)
            left = None if count is None else self._quota(self.route_class) - count
            rate = [self._rate_policy(self.route_class, left)]
        return [*rate, *self._storage_policies(used)]

    def _rate_policy(self, route_class: RouteClass, left: int | None) -> Policy:
        reset = None if left is None else self._seconds_left()
        return Policy(route_class, self._quota(route_class), LIMIT_WINDOW_SECONDS, None, left, reset)

    def _storage_policies(self, used: Used | None) -> list[Policy]:
        units = {"bytes": "content-bytes"}
        return [
            Policy(name, limit, None, units.get(name), None if used is None else used.room(limit, name))
            for name, limit in self._storage()
        ]

    def _storage(self) -> list[tuple[str, int]]:
        """The limits of what is stored that the request may come up against."""
        limits, growth = self.admission.limits, self.growth
        both = (("rows", limits.rows, growth.rows), ("bytes", limits.bytes, growth.bytes))
        return [(name, limit) for name, limit, wanted in both if limit is not None and wanted > 0]

    def _quota(self, route_class: RouteClass) -> int:
        return self.admission.limits.quotas[route_class]

    def _seconds_left(self) -> int:
        end = (self._window + 1) * LIMIT_WINDOW_SECONDS
        return max(1, math.ceil(end - self.admission.began))

    @property
    def _window(self) -> int:
        return window_at(self.admission.began)

    @property
    def _memory(self) -> LimitMemory:
        return self.admission.memory

    @property
    def _user_id(self) -> str:
        return self.admission.user_id


_BEING_COUNTED = "What the account stores is being counted, as it is limited now."
_TO_DO = (
    "Nothing was changed. Delete what is not needed. The count is checked now and then, as it may be too high; try"
    f" again in {STORAGE_RETRY_SECONDS} seconds."
)
_NEVER_FITS = "Nothing was changed, and no later try can be let in as long as the limit is this."


def _text(moment: float) -> str:
    return timestamp(datetime.fromtimestamp(moment, UTC))


def _keep_if_unsent(memory: LimitMemory, user_id: str, returns: Returns | None, error: Exception) -> None:
    """What a call would have given back, unless it may have done so."""
    if returns is not None and not isinstance(error, OutcomeUnknown):
        memory.keep(user_id, returns)
