"""Writes that never overwrite what somebody else has made of a row: puts on a condition, and what a refusal tells."""

from collections.abc import Sequence
from typing import Any

from scripts.migration.calls import Caller, GaveUp, units_of
from scripts.migration.failure import MigrationError
from scripts.migration.journal import Outcome
from scripts.migration.target_rows import CREATED_BY, KEYS, REGISTRY, TargetRow, key_bytes, visible_digest
from shared.database import conditions
from shared.database.attributes import Row, from_item, to_attribute, to_item
from shared.database.conditions import REGISTER, Condition
from shared.database.failures import ConditionRefused
from shared.database.manager import DatabaseManager
from shared.errors import OutcomeUnknown, PayloadTooLarge

MOST_KEYS = 100
"""Keys that one BatchGetItem takes."""

_FRUITLESS = 12
"""Answers without any row, one after the other, after which a reading is given up."""


class ConditionalPuts:
    """Puts single rows, and looks at what is under their keys."""

    def __init__(self, manager: DatabaseManager, reader: DatabaseManager, caller: Caller) -> None:
        self._manager = manager
        self._reader = reader
        self.caller = caller

    def put(self, row: TargetRow) -> Outcome:
        """Raises GaveUp, Stopped or MigrationError."""
        put = self._send(row, conditions.absent(KEYS[row.table][0]))
        if put.refusal is None:
            return Outcome.WRITTEN
        outcome = self.put_over(row, put.refusal.row or {}, may_replace=False)
        return Outcome.WRITTEN if outcome is Outcome.PRESENT and put.was_unclear else outcome

    def put_over(self, row: TargetRow, existing: Row, *, may_replace: bool) -> Outcome:
        """What becomes of a row whose key is taken by `existing`. Raises as `put`.

        `may_replace`: this migration itself has written the row. Its signature alone does not say so: two old backends
        may share a mapping's `source`. Nor is an older state put over a newer one.
        """
        outcome = judge(row, existing)
        if outcome is not Outcome.REPLACED:
            return outcome
        if not may_replace or existing["updated_at"] > row.attributes["updated_at"]:
            return Outcome.KEPT
        merged = _with_registry(row, existing)
        refusal = self._send(merged, _untouched(existing)).refusal
        return Outcome.REPLACED if refusal is None or _is_same(merged, refusal.row or {}) else Outcome.KEPT

    def existing(self, rows: Sequence[TargetRow]) -> dict[bytes, Row]:
        """What the table has under the keys of at most MOST_KEYS rows of one table, strongly consistent.

        Raises GaveUp, Stopped or MigrationError.
        """
        table = self._name(rows[0])
        found: dict[bytes, Row] = {}
        unread = [to_item(row.key) for row in rows]
        attempt = 0
        while unread:
            if attempt == _FRUITLESS:
                raise GaveUp
            self.caller.pause(attempt)
            request = {table: {"Keys": unread, "ConsistentRead": True}}
            answer = self.caller.call(lambda asked=request: self._read(asked), 0, lambda _: 0)  # type: ignore[misc]
            for item in answer["Responses"].get(table, ()):
                existing = from_item(item)
                found[key_bytes(rows[0].table, existing)] = existing
            left = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            attempt = attempt + 1 if len(left) == len(unread) else 0
            unread = left
        return found

    def _read(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._reader.call("batch_get_item", RequestItems=request)

    def _send(self, row: TargetRow, condition: Condition) -> "_Put":
        put = _Put(self._manager, self._name(row), row, condition)
        try:
            self.caller.call(put.send, row.write_units, put.units)
        except PayloadTooLarge as error:
            raise MigrationError(
                f"The row {' '.join(row.key.values())} of {row.table} is larger than DynamoDB allows, by its own count "
                f"({row.size:,} bytes by this one): leave it out of the source, and begin again with apply."
            ) from error
        return put

    def _name(self, row: TargetRow) -> str:
        settings = self._manager.settings
        names = {"users": settings.users_table, "reports": settings.reports_table}
        return names.get(row.table, settings.embeddings_table)


class _Put:
    """One put, through all its tries; `refusal` is what the last one met."""

    def __init__(self, manager: DatabaseManager, table: str, row: TargetRow, condition: Condition) -> None:
        self._manager = manager
        self._row = row
        self._parameters: dict[str, Any] = {
            "TableName": table,
            "Item": row.item,
            "ConditionExpression": condition.expression,
            "ExpressionAttributeNames": condition.names,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        if condition.values:
            self._parameters["ExpressionAttributeValues"] = condition.values
        self.refusal: ConditionRefused | None = None
        self.was_unclear = False
        """Whether a try got no answer, so that the row that refuses a later one may be its own."""

    def send(self) -> dict[str, Any]:
        try:
            return self._manager.call("put_item", **self._parameters)
        except OutcomeUnknown:
            self.was_unclear = True
            raise
        except ConditionRefused as refusal:
            self.refusal = refusal
            return {}

    def units(self, answer: dict[str, Any]) -> float:
        """A refusal consumes as much as the write would have."""
        return units_of(answer) if answer else self._row.write_units


def judge(row: TargetRow, existing: Row) -> Outcome:
    """What a row is to one that is there: the same, another's, somebody's newer state, or an earlier run's."""
    if existing.get("user_id") != row.owner:
        return Outcome.TAKEN
    if _is_same(row, existing):
        return Outcome.PRESENT
    entry = existing.get(CREATED_BY, "")
    is_ours = entry.split(" ")[1:2] == [row.write.id]
    return Outcome.REPLACED if is_ours and existing.get(REGISTER[0]) == entry else Outcome.KEPT


def _is_same(row: TargetRow, existing: Row) -> bool:
    return visible_digest(existing) == row.digest


def _untouched(existing: Row) -> Condition:
    """The row is still the very one that was read; a user's registry of model versions, too, which has no register."""
    names = [CREATED_BY, REGISTER[0], *([REGISTRY] if REGISTRY in existing else [])]
    condition = _equal(names[0], existing)
    for name in names[1:]:
        condition &= _equal(name, existing)
    return condition


def _equal(name: str, existing: Row) -> Condition:
    return Condition(f"#{name} = :{name}", {f"#{name}": name}, {f":{name}": to_attribute(existing[name])})


def _with_registry(row: TargetRow, existing: Row) -> TargetRow:
    """A user's row never loses a model version that it has."""
    if row.table != "users":
        return row
    models = {**row.attributes[REGISTRY], **existing.get(REGISTRY, {})}
    return TargetRow(row.table, row.owner, {**row.attributes, REGISTRY: models}, row.write)
