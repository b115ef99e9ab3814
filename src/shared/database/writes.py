"""The one write path: who may write, when, and exactly once.

The SDK sends a write again when its answer got lost, though the first try may have been applied and another request
may have written in between. So every update carries, and every row keeps:

- who: the ownership condition, and the versions that an `If-Match` names;
- when: `updated_at`, fixed when the request begins and alike in all its tries. It must be later than the row's, so it
  strictly increases per row, and a try that comes after another's write is refused rather than applied late;
- once: a write id. The row keeps its last four in a shift register that the same update moves on. An entry also holds
  the time of its write, so a full register of later writes shows that a missing id may have been pushed out.

A refusal brings the old row along (ALL_OLD), which tells all cases apart without another call.
"""

import random
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from ..errors import Conflict, FieldError, InvalidRequest, NotFound, OutcomeUnknown, PreconditionFailed, Unavailable
from ..models.fields import new_id, now, shifted
from ..scope import current_scope
from . import conditions, growth
from .attributes import Row, from_item, to_attribute, to_item
from .conditions import REGISTER, Condition
from .failures import ConditionRefused
from .manager import DatabaseManager

_MAX_ROUNDS = 20
_NO_FINGERPRINT = "-"
FIRST_VERSION = 1
"""Also that of a row from before versions were kept."""

_LONGEST_PAUSE_SECONDS = 0.1
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_REQUEST = timedelta(seconds=30)
"""From the begin of a create to its last try: a function's 25 s, and how far clocks may be apart."""

_CREATED_BY = "create_write"
_OF_AVATARS = ("avatar_as_of", "avatar_error", "avatar_error_as_of")
BOOKKEEPING = frozenset({*REGISTER, _CREATED_BY, *_OF_AVATARS})
"""Attributes that come with no entity: what the write path keeps in every row, and what became of uploaded avatars."""


@dataclass(frozen=True, slots=True)
class WriteId:
    """The identity of one write. With an Idempotency-Key both parts are derived from the request, else it is random."""

    id: str = field(default_factory=new_id)
    fingerprint: str = _NO_FINGERPRINT
    """Digest of the request that an Idempotency-Key stands for; another digest under the same id is a misuse."""

    @property
    def is_keyed(self) -> bool:
        return self.fingerprint != _NO_FINGERPRINT

    def entry(self, clock: str) -> str:
        return f"{clock} {self.id} {self.fingerprint}"


@dataclass(frozen=True, slots=True)
class Target:
    """One row, and the user who must own it."""

    table: str
    key: Mapping[str, str]
    user_id: str
    kind: str
    """What the row is called in an answer: "report", "profile"."""

    send_within_seconds: float | None = None
    """How long after its `updated_at` a try of a change may still be sent; None for as long as the client retries.

    Whoever reads an index by time reads that much again, so as to miss nothing (see `similarity`).
    """

    def missing(self) -> NotFound:
        return NotFound(f"There is no such {self.kind}.")

    def taken(self) -> Conflict:
        return Conflict(f"The key of this {self.kind} is taken.")

    def stale(self) -> PreconditionFailed:
        return PreconditionFailed(f"The {self.kind} has changed since the version that If-Match names. Read it again.")


@dataclass(frozen=True, slots=True)
class Change:
    """What an update does: attributes set, set where there is none, removed, and members of sets added or deleted.

    `clocked` are attributes that take the time of the write itself.
    """

    sets: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    removes: Collection[str] = ()
    adds: Mapping[str, set[str]] = field(default_factory=dict)
    deletes: Mapping[str, set[str]] = field(default_factory=dict)
    clocked: Collection[str] = ()
    buries: bool = False
    """It leaves a tombstone. Where growth is counted, the row that an update returns is then the one of before."""


@dataclass(frozen=True, slots=True)
class Guard:
    """A further rule of an update, as DynamoDB judges it and as a refusing row is read."""

    condition: Condition
    is_settled: Callable[[Row], bool]
    """Whether the row already is as the update would leave it; raises the error of a row that breaks the rule."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Under which identity and on which conditions an update happens; `versions` is what an `If-Match` named."""

    write: WriteId = field(default_factory=WriteId)
    versions: Collection[int] | None = None
    guard: Guard | None = None
    not_before: str = ""
    """The earliest time that the write may take, where another process's clock has told one."""

    def condition(self, may_write: Condition, clock: str) -> Condition:
        condition = may_write & conditions.older_than(clock) & conditions.not_written_by(self.write.id)
        if self.versions is not None:
            condition &= conditions.at_version(self.versions)
        return condition if self.guard is None else condition & self.guard.condition


def create(manager: DatabaseManager, target: Target, row: Mapping[str, Any], write: WriteId) -> Row:
    """Put a row that must not exist yet, and return it; a row that this very write made is returned as it now stands.

    Raises Conflict where the key is taken.
    """
    try:
        made = _put(manager, target, row, write)
    except ConditionRefused as refusal:
        existing = refusal.row
        if existing is None or not _is_owned(existing, target):
            raise target.taken() from refusal
        if _may_have_changed_another(existing, row["updated_at"], refusal) and not _knows(existing, write):
            growth.note_made(target.kind, target.user_id, row)
            raise OutcomeUnknown from refusal
        if _is_entry(existing.get(_CREATED_BY), write):
            if refusal.may_have_been_applied:
                growth.note_made(target.kind, target.user_id, existing)
            return existing
        raise target.taken() from refusal
    except OutcomeUnknown:
        growth.note_made(target.kind, target.user_id, row)
        raise
    growth.note_made(target.kind, target.user_id, made)
    return made


def ensure(manager: DatabaseManager, target: Target, row: Mapping[str, Any]) -> Row:
    """Put a row unless it exists, and return the row that then exists: of many callers at once, one creates it."""
    try:
        return _put(manager, target, row, WriteId())
    except ConditionRefused as refusal:
        if refusal.row is None or not _is_owned(refusal.row, target):
            raise target.taken() from refusal
        return refusal.row


def update(manager: DatabaseManager, target: Target, change: Change, terms: Terms) -> Row:
    """Change a row once and return it as it is afterwards.

    Raises NotFound (missing, or another user's), PreconditionFailed (`versions`), the guard's error, InvalidRequest
    (an Idempotency-Key used for something else), OutcomeUnknown, or Unavailable where others write all the time.
    """
    return _write(manager, target, change, terms, conditions.owned_by(target.user_id))


def upsert(manager: DatabaseManager, target: Target, change: Change, terms: Terms) -> Row:
    """Change a row once, or make it, and return it as it is afterwards; a tombstone is made a row again.

    Raises PreconditionFailed where `versions` are given and there is no row of such a version; else as `update`.
    """
    change = replace(change, sets={**change.sets, "user_id": target.user_id})
    owned = conditions.owned_by(target.user_id)
    if terms.versions is not None:
        return _write(manager, target, change, terms, owned & conditions.live(), makes_rows=True)
    may_write = owned | conditions.absent(next(iter(target.key)))
    return _write(manager, target, change, terms, may_write, makes_rows=True)


def _write(
    manager: DatabaseManager,
    target: Target,
    change: Change,
    terms: Terms,
    may_write: Condition,
    *,
    makes_rows: bool = False,
) -> Row:
    clock = max(now(), terms.not_before)
    for attempt in range(_MAX_ROUNDS):
        update = _Update(clock, change, terms, may_write, makes_rows)
        try:
            row = _try_update(manager, target, update)
        except ConditionRefused as refusal:
            row = _told(refusal, target, update)
            if _is_done(row, clock, terms, refusal, target):
                return row
            clock = max(_later_than(row, target), terms.not_before)
        except OutcomeUnknown:
            _note_perhaps_done(target, update)
            raise
        else:
            _note_done(target, update, row)
            return row
        pause(attempt)
    raise Unavailable(f"Too many others are changing this {target.kind}. Nothing was changed; try again.")


def _told(refusal: ConditionRefused, target: Target, update: "_Update") -> Row:
    """As `_refusing_row`; where an earlier try may have been applied, what it may have stored is counted first."""
    if refusal.may_have_been_applied:
        _note_perhaps_done(target, update)
    return _refusing_row(refusal, target, update.terms, makes_rows=update.makes_rows)


def _note_done(target: Target, update: "_Update", row: Row) -> None:
    change = update.change
    if change.buries:
        growth.note_deleted(target.kind, target.user_id, row)
    elif update.makes_rows and row.get("created_at") == update.clock:
        growth.note_made(target.kind, target.user_id, row)
    else:
        growth.note_changed(target.kind, target.user_id, change.sets, change.adds)


def _note_perhaps_done(target: Target, update: "_Update") -> None:
    change = update.change
    if update.makes_rows:
        growth.note_made(target.kind, target.user_id, {**target.key, **change.sets})
    elif not change.buries:
        growth.note_changed(target.kind, target.user_id, change.sets, change.adds)


def delete(manager: DatabaseManager, target: Target, versions: Collection[int] | None = None) -> None:
    """Delete a row. Raises NotFound (missing, or another user's), PreconditionFailed or OutcomeUnknown (`versions`).

    Where an earlier try of the call may have been applied, nothing of the caller's under the key means that it was;
    with `versions` it may also have been another's delete of another version. A row of another version may have been
    made since.
    """
    begun = now()
    condition = conditions.owned_by(target.user_id)
    if versions is not None:
        condition &= conditions.at_version(versions)
    returned: dict[str, Any] = {}
    if growth.counting_scope(target.kind, target.user_id) is not None:
        returned["ReturnValues"] = "ALL_OLD"
    try:
        answer = manager.call(
            "delete_item",
            TableName=target.table,
            Key=to_item(target.key),
            ConditionExpression=condition.expression,
            ExpressionAttributeNames=condition.names,
            ExpressionAttributeValues=condition.values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
            **returned,
        )
    except ConditionRefused as refusal:
        if refusal.row is not None and _is_owned(refusal.row, target):
            if _may_have_changed_another(refusal.row, begun, refusal):
                raise OutcomeUnknown from refusal
            raise target.stale() from refusal
        _note_if_foreign(refusal.row, target)
        if not refusal.may_have_been_applied:
            raise target.missing() from refusal
        if versions is not None:
            raise OutcomeUnknown from refusal
    else:
        if "Attributes" in answer:
            growth.note_deleted(target.kind, target.user_id, from_item(answer["Attributes"]))


def _put(manager: DatabaseManager, target: Target, row: Mapping[str, Any], write: WriteId) -> Row:
    entry = write.entry(row["updated_at"])
    item = to_item({**row, REGISTER[0]: entry, _CREATED_BY: entry})
    guard = conditions.absent(next(iter(target.key)))
    manager.call(
        "put_item",
        TableName=target.table,
        Item=item,
        ConditionExpression=guard.expression,
        ExpressionAttributeNames=guard.names,
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
    )
    return from_item(item)  # as every later read gives it, numbers above all


@dataclass(frozen=True, slots=True)
class _Update:
    """One UpdateItem: the change, the clock, the version and the register in one expression."""

    clock: str
    change: Change
    terms: Terms
    may_write: Condition
    makes_rows: bool

    def parameters(self) -> dict[str, Any]:
        expression, names, values = self._expression()
        condition = self.terms.condition(self.may_write, self.clock)
        return {
            "UpdateExpression": expression,
            "ConditionExpression": condition.expression,
            "ExpressionAttributeNames": {**names, **condition.names},
            "ExpressionAttributeValues": {**values, **condition.values},
        }

    def _expression(self) -> tuple[str, dict[str, str], dict[str, Any]]:
        """Right-hand sides are the old values."""
        change = self.change
        newest, *older = REGISTER
        shifts = [f"#{to} = if_not_exists(#{frm}, :none)" for frm, to in zip(REGISTER, older, strict=False)]
        defaults = {"created_at": self.clock, **change.defaults} if self.makes_rows else dict(change.defaults)
        clocked = dict.fromkeys((*change.clocked, "updated_at"), self.clock)
        sets = {**change.sets, **clocked, newest: self.terms.write.entry(self.clock)}
        assignments = [
            *(f"#{name} = :{name}" for name in sets),
            *(f"#{name} = if_not_exists(#{name}, :{name})" for name in defaults),
            *shifts,
            "#version = if_not_exists(#version, :unversioned) + :one",
        ]
        # A row that this update makes is at the first version; one from before versions were kept has been there.
        makes_it = self.makes_rows and self.terms.versions is None
        counters = {"none": "", "one": 1, "unversioned": 0 if makes_it else FIRST_VERSION}
        clauses = ["SET " + ", ".join(assignments)]
        values = {f":{name}": to_attribute(value) for name, value in {**sets, **defaults, **counters}.items()}
        for verb, members in (("ADD", change.adds), ("DELETE", change.deletes)):
            if members:
                clauses.append(f"{verb} " + ", ".join(f"#{name} :{name}_members" for name in members))
                values |= {f":{name}_members": to_attribute(value) for name, value in members.items()}
        if change.removes:
            clauses.append("REMOVE " + ", ".join(f"#{name}" for name in change.removes))
        used = {*sets, *defaults, *older, "version", *change.adds, *change.deletes, *change.removes}
        return " ".join(clauses), {f"#{name}": name for name in used}, values


def _try_update(manager: DatabaseManager, target: Target, update: _Update) -> Row:
    is_to_measure = update.change.buries and growth.counting_scope(target.kind, target.user_id) is not None
    answer = manager.call(
        "update_item",
        send_by=None if target.send_within_seconds is None else time.monotonic() + target.send_within_seconds,
        TableName=target.table,
        Key=to_item(target.key),
        ReturnValues="ALL_OLD" if is_to_measure else "ALL_NEW",
        ReturnValuesOnConditionCheckFailure="ALL_OLD",
        **update.parameters(),
    )
    return from_item(answer["Attributes"])


def _refusing_row(refusal: ConditionRefused, target: Target, terms: Terms, *, makes_rows: bool) -> Row:
    """The caller's own row that refused; missing and foreign rows give the same answer, also where tries got lost.

    A tombstone counts as missing, unless this very write made it, or may make a row of it.
    """
    row = refusal.row
    may_be_dead = makes_rows and terms.versions is None
    if row is not None and _is_owned(row, target) and (may_be_dead or is_live(row) or has_made(row, terms.write)):
        return row
    _note_if_foreign(row, target)
    if refusal.may_have_been_applied:
        raise OutcomeUnknown from refusal
    if not makes_rows:
        raise target.missing() from refusal
    raise (target.taken() if may_be_dead else target.stale()) from refusal


def _is_done(row: Row, clock: str, terms: Terms, refusal: ConditionRefused, target: Target) -> bool:
    """Whether a refusing row already has this write; False where only the clock was behind; else the refusal's error.

    What is told holds only where no try that carried `clock` can be applied any more: the row's time is later, or its
    version has moved on. A guard's word is for the moment: another may make it void with an earlier time yet.
    """
    if _may_have_forgotten(row, clock, refusal) and not _knows(row, terms.write):
        raise OutcomeUnknown from refusal
    if has_made(row, terms.write):
        return True
    if terms.versions is not None and row.get("version", FIRST_VERSION) not in terms.versions:
        raise target.stale() from refusal
    if refusal.may_have_been_applied and row.get("updated_at", "") < clock:
        raise OutcomeUnknown from refusal
    return terms.guard is not None and terms.guard.is_settled(row)


def note_foreign_row() -> None:
    """Count a request for another user's row, which the answer does not tell from a missing one."""
    scope = current_scope()
    if scope:
        scope.count_ownership_refusal()


def _note_if_foreign(row: Row | None, target: Target) -> None:
    if row is not None and not _is_owned(row, target):
        note_foreign_row()


def is_live(row: Row) -> bool:
    """Whether the row is more than the tombstone of a deleted one."""
    return "deleted_at" not in row


def _is_owned(row: Row, target: Target) -> bool:
    return row.get("user_id") == target.user_id


def made_at(row: Row, write: WriteId) -> str:
    """When this write was made, by the row's register. Raises LookupError where it is not among the last four."""
    entries = [row[name] for name in REGISTER if _is_entry(row.get(name), write)]
    if not entries:
        raise LookupError("the row does not know this write")
    clock: str = entries[0].split(" ")[0]
    return clock


def has_made(row: Row, write: WriteId) -> bool:
    """Whether this write is among the row's last four. Raises InvalidRequest where its id stands for other content."""
    return any(_is_entry(row.get(name), write) for name in REGISTER)


def _is_entry(entry: str | None, write: WriteId) -> bool:
    """Whether `entry` is this write's. Raises InvalidRequest where its id came from another request's content."""
    if not entry:
        return False
    _, write_id, fingerprint = entry.split(" ")
    if write_id != write.id:
        return False
    if fingerprint != write.fingerprint:
        reason = "was already used for a request with other content; use a new key for a new request"
        raise InvalidRequest(
            "The Idempotency-Key stands for another request.", errors=[FieldError("/header/idempotency-key", reason)]
        )
    return True


def _knows(row: Row, write: WriteId) -> bool:
    """Whether this very write, of this content, is among those that the row remembers."""
    entries = (row.get(name) or "" for name in (*REGISTER, _CREATED_BY))
    return any(entry.endswith(f" {write.id} {write.fingerprint}") for entry in entries)


def _may_have_forgotten(row: Row, clock: str, refusal: ConditionRefused) -> bool:
    """Whether an earlier try may have been applied without a trace in the row that refused."""
    is_overrun = refusal.may_have_been_applied and _pushed_out(row, clock)
    return is_overrun or _may_have_changed_another(row, clock, refusal)


def _may_have_changed_another(row: Row, clock: str, refusal: ConditionRefused) -> bool:
    """Whether an earlier try may have been applied to a former row of this key: one that was deleted since, and made
    again by a create that was not over when this request began."""
    made = (row.get(_CREATED_BY) or "").split(" ")[0]
    if not refusal.may_have_been_applied or not made:
        return False
    return made > shifted(clock, -_LONGEST_REQUEST)


def _pushed_out(row: Row, clock: str) -> bool:
    """Whether the register has moved past the time of this write, so that its entry may have been there and gone."""
    oldest: str = row.get(REGISTER[-1]) or ""
    return oldest.split(" ")[0] > clock


def _later_than(row: Row, target: Target) -> str:
    """Now, or just after the row's last change where this clock is behind the one that wrote it.

    Raises Conflict for a row of another origin whose time is later than now and is no time.
    """
    current = now()
    last = row.get("updated_at", "")
    if current > last:
        return current
    try:
        return shifted(last, _MICROSECOND)
    except (ValueError, OverflowError) as error:
        raise Conflict(f"This {target.kind} cannot be changed: its updated_at is no time of this service.") from error


def pause(attempt: int) -> None:
    """Full jitter, so that requests that collided once do not collide in step."""
    time.sleep(random.uniform(0, min(_LONGEST_PAUSE_SECONDS, 0.002 * 2**attempt)))  # noqa: S311 - not a secret
