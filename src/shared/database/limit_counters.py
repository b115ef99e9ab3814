"""The table of limits: what each tenant has used of theirs, in one item, changed by one UpdateItem a request.

The item has an attribute for each class of routes and window of time that it has been counted in (`w178432` counts the
writes of window 178432), so that every count has the same form, and none is refused because a window has begun. What
past windows leave is removed on the way. Counts of requests never fall, so that who has seen one exhausted need not ask
again. What is stored is counted by:

rows, bytes                    at least what is stored, once it has been counted (`counted_at`);
rows_reserved, bytes_reserved  all that was ever reserved: they never fall, so that a recount can tell what was reserved
                               since it began;
recount_not_before             when the next recount may begin, which is also the sign of the one that is under way;
recount_idle_until             when a refusal asks for one again if nothing was freed since the last began: it had found
                               what was counted already;
counted_from, freed_at         when the last recount began, and when something may have been freed last;
since                          when the item was made;
generation                     a name that every recount draws anew, as does a new item: what is given back belongs to
                               rows that were counted under the name that its request saw, and to no others.

An item goes with its account's erasure (`forget`).
"""

import re
import time
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ..config import LIMIT_WINDOW_SECONDS, ROUTE_CLASSES, RouteClass, TenantLimits
from ..errors import ApiError, OutcomeUnknown, Unavailable
from ..models.fields import now, shifted
from ..scope import Growth
from .attributes import Row, from_item, to_attribute, to_item
from .calls import CALL_ERRORS
from .failures import ConditionRefused
from .manager import DatabaseManager

FAILURES = (ApiError, *CALL_ERRORS)
"""What a call raises where the table does not answer, or refuses this process."""

_SEND_WITHIN_SECONDS = 2.0
"""No try of a count is sent later: a request must not wait long for what only counts it. The first one of a process
takes a good part of it."""

_PAST = range(2, 8)
"""Windows that are removed by their names. The last one is kept: another process's clock may be that much behind."""

_COUNT = re.compile(r"[rws][0-9]+")
_MAX_LEFTOVERS = 200
"""That one update removes, so that its expression stays short."""

_LIMITED = ("rows", "bytes")
_PROVISIONAL = {"rows": 100, "bytes": 1024 * 1024}
"""At least so much may be stored before it is known what there is: one request's batch, one request's body."""

RECOUNT_LONGEST = timedelta(minutes=20)
RECOUNT_EVERY = timedelta(minutes=5)
RECOUNT_IDLE = timedelta(hours=1)
"""After one that found what was counted: who is at their limit may ask for ever, and each reads all their rows."""

RECOUNT_FAILED = timedelta(seconds=45)
"""Lambda tries again after a minute."""


def count_name(route_class: RouteClass, window: int) -> str:
    return f"{route_class[0]}{window}"


def window_at(moment: float) -> int:
    return int(moment // LIMIT_WINDOW_SECONDS)


@dataclass(frozen=True, slots=True)
class Use:
    """What one request would use: a place in a window, room to store, both or neither; `given_back` is not positive.

    A place without room is that of a request that may free some.
    """

    user_id: str
    window: int
    route_class: RouteClass | None = None
    growth: Growth = field(default_factory=Growth)
    given_back: Growth = field(default_factory=Growth)
    generation: str | None = None
    """Of what is given back; None where no recount can have come between, but perhaps an erasure."""

    began: str = field(default_factory=now)
    """When the request did."""

    leftovers: Collection[str] = ()
    """Counts of past windows that the item is known to have."""


@dataclass(frozen=True, slots=True)
class Used:
    """A tenant's item as it stands; None where there is none."""

    row: Row

    def count(self, route_class: RouteClass, window: int) -> int:
        return int(self.row.get(count_name(route_class, window), 0))

    def stored(self, name: str) -> int:
        return int(self.row.get(name, 0))

    def room(self, limit: int, name: str, given_back: int = 0) -> int:
        """How much more may be reserved of this limit of `rows` or `bytes`; negative where it is exceeded."""
        room = min(limit, limit - self.stored(name) - given_back)
        if "counted_at" in self.row:
            return room
        return min(room, provisional(limit, name) - int(self.row.get(f"{name}_reserved", 0)))

    @property
    def generation(self) -> str | None:
        return self.row.get("generation")

    @property
    def may_be_recounted(self) -> bool:
        """Whether a recount may begin, and is likely to find other than what is counted."""
        moment, row = now(), self.row
        has_freed = str(row.get("freed_at", "")) >= str(row.get("counted_from", ""))
        is_idle = not has_freed and moment < str(row.get("recount_idle_until", ""))
        return moment >= str(row.get("recount_not_before", "")) and not is_idle

    def without_counts(self) -> "Used":
        """Without those of requests."""
        return Used({name: value for name, value in self.row.items() if not _COUNT.fullmatch(name)})

    def leftovers(self, window: int) -> tuple[str, ...]:
        """Counts of windows that are over, some of very many."""
        past = [name for name in self.row if _COUNT.fullmatch(name) and _is_past(name, window)]
        return tuple(past[:_MAX_LEFTOVERS])


class OverLimit(Exception):
    """Something of the use is beyond a limit, and nothing was counted; `used` is the item that says so."""

    def __init__(self, used: Used) -> None:
        super().__init__("a limit of the tenant is reached")
        self.used = used


@dataclass(frozen=True, slots=True)
class Claim:
    """That of a recount: `until` is its sign, `reserved` all that was reserved before, `counted` what was counted."""

    until: str
    began: str
    reserved: Growth = field(default_factory=Growth)
    counted: Growth | None = None
    """None where it never was."""


def provisional(limit: int, name: str) -> int:
    """What may be reserved of a limit before the tenant's rows have been counted."""
    return max(limit // 10, min(limit, _PROVISIONAL[name]))


class LimitCounters:
    """The items of the table. Every method is one call."""

    def __init__(self, manager: DatabaseManager) -> None:
        self._manager = manager

    def use(self, use: Use, limits: TenantLimits) -> Used:
        """Count the request and reserve its room, or neither. Raises OverLimit, else as `DatabaseManager.call`.

        A try that may have been applied is repeated only where that does no harm: a request counted twice, or room
        reserved twice, keeps within the limits; room given back twice would not.
        """
        update = _Update(use, limits)
        _ = self._manager.client  # made before the time runs, as it is where a process begins
        try:
            answer = self._manager.call(
                "update_item",
                send_by=time.monotonic() + _SEND_WITHIN_SECONDS,
                is_once=bool(use.given_back),
                TableName=self._table,
                Key=_key(use.user_id),
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
                **update.parameters(),
            )
        except ConditionRefused as refusal:
            raise OverLimit(Used(refusal.row or {})) from refusal
        return Used(from_item(answer["Attributes"]))

    def begin_recount(self, user_id: str) -> Claim | None:
        """A claim; None where another recount is under way, or was a while ago."""
        moment = now()
        until = shifted(moment, RECOUNT_LONGEST)
        condition = "attribute_not_exists(#recount_not_before) OR #recount_not_before <= :now"
        try:
            row = self._update(user_id, "SET #recount_not_before = :next", condition, {":next": until, ":now": moment})
        except OutcomeUnknown:
            self.give_up_recount(user_id, Claim(until, moment))  # it may be there
            raise
        if row is None:
            return None
        counted = Growth(int(row.get("rows", 0)), int(row.get("bytes", 0))) if "counted_at" in row else None
        reserved = Growth(int(row.get("rows_reserved", 0)), int(row.get("bytes_reserved", 0)))
        return Claim(until, moment, reserved, counted)

    def finish_recount(self, user_id: str, claim: Claim, stored: Growth) -> bool:
        """Set the counters to what is stored, and what was reserved since the claim; whether it was done."""
        moment = now()
        values = {
            ":claim": claim.until,
            ":next": shifted(moment, RECOUNT_EVERY),
            ":now": moment,
            ":from": claim.began,
            ":idle": shifted(moment, RECOUNT_IDLE) if stored == claim.counted else moment,
            ":zero": 0,
            ":rows": stored.rows - claim.reserved.rows,
            ":bytes": stored.bytes - claim.reserved.bytes,
            ":generation": uuid.uuid4().hex,
        }
        expression = (
            "SET #rows = if_not_exists(#rows_reserved, :zero) + :rows,"
            " #bytes = if_not_exists(#bytes_reserved, :zero) + :bytes,"
            " #counted_at = :now, #counted_from = :from, #generation = :generation,"
            " #recount_not_before = :next, #recount_idle_until = :idle"
        )
        # Not done: erased meanwhile, or taken over, as it took too long.
        return self._update(user_id, expression, "#recount_not_before = :claim", values) is not None

    def give_up_recount(self, user_id: str, claim: Claim) -> None:
        """Let the next recount begin soon, as this one failed. Raises as `DatabaseManager.call`."""
        values = {":claim": claim.until, ":next": shifted(now(), RECOUNT_FAILED)}
        self._update(user_id, "SET #recount_not_before = :next", "#recount_not_before = :claim", values)

    def forget(self, user_id: str) -> None:
        """Delete the item. Raises as `DatabaseManager.call`."""
        try:
            self._manager.call("delete_item", TableName=self._table, Key=_key(user_id))
        except OutcomeUnknown as error:
            raise Unavailable("The table of limits does not answer.") from error

    def _update(self, user_id: str, expression: str, condition: str, values: Mapping[str, Any]) -> Row | None:
        """The item after an update that sets `recount_not_before` to `:next`; None where the condition does not hold. A
        try whose answer got lost is known by what it set."""
        names = re.findall(r"#(\w+)", f"{expression} {condition}")
        try:
            answer = self._manager.call(
                "update_item",
                TableName=self._table,
                Key=_key(user_id),
                UpdateExpression=expression,
                ConditionExpression=condition,
                ExpressionAttributeNames={f"#{name}": name for name in names},
                ExpressionAttributeValues={name: to_attribute(value) for name, value in values.items()},
                ReturnValues="ALL_NEW",
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionRefused as refusal:
            row = refusal.row or {}
            is_ours = refusal.may_have_been_applied and row.get("recount_not_before") == values[":next"]
            return row if is_ours else None
        return from_item(answer["Attributes"])

    @property
    def _table(self) -> str:
        return self._manager.settings.limits_table


@dataclass(frozen=True, slots=True)
class _Update:
    """The one UpdateItem of a use."""

    use: Use
    limits: TenantLimits

    def parameters(self) -> dict[str, Any]:
        sets, removes, conditions = self._sets(), self._removes(), self._conditions()
        additions = [f"#{name} = if_not_exists(#{name}, :zero) + :{name}" for name in sets]
        names = {*sets, *removes}
        values: dict[str, Any] = {f":{name}": number for name, number in sets.items()}
        if sets:
            additions.append("#generation = if_not_exists(#generation, :fresh), #since = if_not_exists(#since, :began)")
            names |= {"generation", "since"}
            values |= {":zero": 0, ":fresh": uuid.uuid4().hex, ":began": self.use.began}
        if sets and not self.use.growth:
            additions.append("#freed_at = :began")
            names.add("freed_at")
        removals = ", ".join(f"#{name}" for name in removes)
        clauses = [
            f"{verb} {listed}" for verb, listed in (("SET", ", ".join(additions)), ("REMOVE", removals)) if listed
        ]
        parameters: dict[str, Any] = {"UpdateExpression": " ".join(clauses)}
        if conditions:
            parameters["ConditionExpression"] = " AND ".join(f"({condition})" for condition, _ in conditions)
            for condition, bounds in conditions:
                names |= set(re.findall(r"#(\w+)", condition))
                values |= bounds
        if values:
            parameters["ExpressionAttributeValues"] = {name: to_attribute(value) for name, value in values.items()}
        return parameters | {"ExpressionAttributeNames": {f"#{name}": name for name in sorted(names)}}

    def _sets(self) -> dict[str, int]:
        """What is added to, and how much."""
        use = self.use
        added = {count_name(use.route_class, use.window): 1} if use.route_class else {}
        if use.growth or use.given_back:
            change = use.growth + use.given_back
            added |= {"rows": change.rows, "bytes": change.bytes}
        if use.growth:
            added |= {"rows_reserved": use.growth.rows, "bytes_reserved": use.growth.bytes}
        return added

    def _removes(self) -> list[str]:
        use = self.use
        by_name = [count_name(kind, use.window - ago) for kind in ROUTE_CLASSES for ago in _PAST]
        known = [name for name in use.leftovers if _is_past(name, use.window)]  # the clock may have been set back
        return list(dict.fromkeys((*by_name, *known))) if use.route_class or known else []

    def _conditions(self) -> list[tuple[str, dict[str, Any]]]:
        """Each with what it compares with."""
        use = self.use
        found: list[tuple[str, dict[str, Any]]] = []
        if use.given_back:
            if use.generation is None:
                found.append(("#since <= :began", {":began": use.began}))
            else:
                found.append(("#generation = :seen", {":seen": use.generation}))
        if use.route_class:
            count = count_name(use.route_class, use.window)
            found.append((_fewer(count, ":quota", "<"), {":quota": self.limits.quotas[use.route_class]}))
        for name in _LIMITED:
            wanted, back = getattr(use.growth, name), getattr(use.given_back, name)
            limit = _limit(self.limits, name)
            if limit is None or wanted <= 0:
                continue
            found.append((_fewer(name, f":room_{name}"), {f":room_{name}": limit - wanted - back}))
            uncounted = f"attribute_exists(#counted_at) OR {_fewer(f'{name}_reserved', f':first_{name}')}"
            found.append((uncounted, {f":first_{name}": provisional(limit, name) - wanted}))
        return found


def _limit(limits: TenantLimits, name: str) -> int | None:
    return limits.rows if name == "rows" else limits.bytes


def _is_past(count: str, window: int) -> bool:
    return int(count[1:]) <= window - _PAST.start


def _fewer(name: str, bound: str, operator: str = "<=") -> str:
    return f"attribute_not_exists(#{name}) OR #{name} {operator} {bound}"


def _key(user_id: str) -> Any:
    return to_item({"user_id": user_id})
