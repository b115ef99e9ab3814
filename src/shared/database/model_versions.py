"""The model versions of an owner, each with the one dimension of its vectors: a map in the owner's row of users.

An entry is written once, with a condition, and never changes: of many first vectors at once, one decides. The erasure
of the owner's account alone takes it away, and near its end no entry can be added (`account_rows`).
"""

from contextlib import suppress
from typing import Any

from ..errors import Conflict, FieldError, InvalidRequest, Unavailable
from ..models.fields import now
from ..models.user import DBUser
from . import conditions, writes
from .attributes import Row, from_item, to_attribute, to_item
from .conditions import Condition
from .failures import ConditionRefused
from .repository import Repository, operation
from .settled import Declaration
from .writes import Target

MAX_MODEL_VERSIONS = 100
ERASING_UNTIL = "erasing_until"
"""An attribute of the row at the end of an erasure: while it is there, nothing can be declared."""

_ERASED_IN_SECONDS = 300
_ROUNDS = 3
"""A row to make, a map to make in it, an entry to make in that; an erasure that unmakes it meanwhile is bad luck."""


class ModelVersionRepository(Repository):
    """What the owner's row says of their model versions."""

    kind = "profile"

    @operation
    def declaration_of(self, user_id: str, model_version: str) -> Declaration | None:
        """How the model version was declared; None where the owner has no such model version."""
        known = self._manager.settled.get((user_id, model_version))
        if known is not None:
            return known
        read_at = self._manager.settled.now()
        row = self._read_models(user_id, "#models.#model", {"#models": "models", "#model": model_version})
        return self._remember(user_id, model_version, _declaration(row, model_version), read_at)

    @operation
    def dimension_of(self, user_id: str, model_version: str) -> int | None:
        """Components of the model version's vectors; None where the owner has no such model version."""
        declared = self.declaration_of(user_id, model_version)
        return None if declared is None else declared.dimension

    @operation
    def require_declaration(self, user_id: str, model_version: str, pointer: str) -> Declaration:
        """As `declaration_of`. Raises InvalidRequest at `pointer` where there is no such model version."""
        declared = self.declaration_of(user_id, model_version)
        if declared is None:
            reason = "is no model version that anything was stored under"
            raise InvalidRequest("The model version is unknown.", errors=[FieldError(pointer, reason)])
        return declared

    @operation
    def require_dimension(self, user_id: str, model_version: str, pointer: str) -> int:
        """As `dimension_of`. Raises InvalidRequest at `pointer` where there is no such model version."""
        return self.require_declaration(user_id, model_version, pointer).dimension

    @operation
    def declare(self, user_id: str, model_version: str, dimension: int, profile: DBUser | None = None) -> None:
        """Make this the model version's dimension, if it has none yet.

        `profile` becomes the owner's row where that is missing. Raises InvalidRequest where the model version has
        another dimension, Conflict above MAX_MODEL_VERSIONS, Unavailable at the end of an erasure of the account.
        """
        settled = self.declaration_of(user_id, model_version)
        if settled is None:
            read_at = self._manager.settled.now()
            settled = self._settle(user_id, model_version, dimension, profile or DBUser(user_id=user_id))
            self._remember(user_id, model_version, settled, read_at)
        check_dimension(dimension, settled.dimension, model_version)

    @operation
    def list_model_versions(self, user_id: str) -> dict[str, int]:
        """The dimension of every model version of the owner, by name."""
        row = self._read_models(user_id, "#models", {"#models": "models"})
        return {name: entry["dimension"] for name, entry in sorted(row.get("models", {}).items())}

    def _remember(
        self, user_id: str, model_version: str, declared: Declaration | None, read_at: float
    ) -> Declaration | None:
        if declared is not None:
            self._manager.settled.keep((user_id, model_version), declared, read_at)
        return declared

    def _read_models(self, user_id: str, projection: str, names: dict[str, str]) -> Row:
        answer = self._manager.call(
            "get_item",
            TableName=self._manager.settings.users_table,
            Key=to_item({"user_id": user_id}),
            ProjectionExpression=projection,
            ExpressionAttributeNames=names,
            ConsistentRead=True,
        )
        return from_item(answer.get("Item", {}))

    def _settle(self, user_id: str, model_version: str, dimension: int, profile: DBUser) -> Declaration:
        """What the entry then says: this dimension, or that of who was first."""
        target = Target(self._manager.settings.users_table, {"user_id": user_id}, user_id, self.kind)
        for _ in range(_ROUNDS):
            declared = Declaration(dimension, now())
            try:
                self._add_entry(target, model_version, declared)
            except ConditionRefused as refusal:
                row = refusal.row
            else:
                return declared
            if row is None:
                writes.ensure(self._manager, target, profile.model_dump())
            elif ERASING_UNTIL in row:
                raise _being_erased()
            elif "models" not in row:
                self._add_map(target)
            elif (existing := _declaration(row, model_version)) is not None:
                return existing
            else:
                raise Conflict(f"There are {MAX_MODEL_VERSIONS} model versions, which is the most. Use one of them.")
        raise Unavailable("The profile was erased meanwhile. Nothing was stored; try again.")

    def _add_entry(self, target: Target, model_version: str, declared: Declaration) -> None:
        room = conditions.room_for_model(model_version, MAX_MODEL_VERSIONS)
        condition = conditions.owned_by(target.user_id) & conditions.absent(ERASING_UNTIL) & room
        values = {":entry": to_attribute({"dimension": declared.dimension, "created_at": declared.declared_at})}
        self._set(target, "SET #models.#model = :entry", condition, values)

    def _add_map(self, target: Target) -> None:
        """A row from before there were model versions gets the map; another caller's is as good."""
        condition = conditions.owned_by(target.user_id) & conditions.absent("models")
        with suppress(ConditionRefused):
            self._set(target, "SET #models = :entry", condition, {":entry": to_attribute({})})

    def _set(self, target: Target, expression: str, condition: Condition, values: dict[str, Any]) -> None:
        self._manager.call(
            "update_item",
            TableName=target.table,
            Key=to_item(target.key),
            UpdateExpression=expression,
            ConditionExpression=condition.expression,
            ExpressionAttributeNames=condition.names,
            ExpressionAttributeValues={**values, **condition.values},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )


def check_dimension(dimension: int, expected: int, model_version: str) -> None:
    """Raises InvalidRequest where the dimension of the vector in the body is not its model version's."""
    if dimension != expected:
        reason = f"has {dimension} components; the vectors of {model_version} have {expected}"
        raise InvalidRequest("The vector does not fit.", errors=[FieldError("/body/embedding_vector", reason)])


def _declaration(row: Row, model_version: str) -> Declaration | None:
    entry = row.get("models", {}).get(model_version)
    return None if entry is None else Declaration(int(entry["dimension"]), str(entry.get("created_at", "")))


def _being_erased() -> Unavailable:
    return Unavailable(
        "The erasure of this account is about to end, and no model version can be declared until it has. Try again"
        " when GET /user/erasure says done.",
        retry_after=_ERASED_IN_SECONDS,
    )
