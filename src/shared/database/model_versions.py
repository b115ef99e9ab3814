"""The model versions of an owner, each with the one dimension of its vectors: a map in the owner's row of users.

An entry is written once, with a condition, and never changes: of many first vectors at once, one decides.
"""

from contextlib import suppress
from typing import Any

from ..errors import Conflict, FieldError, InvalidRequest
from ..models.fields import now
from ..models.user import DBUser
from . import conditions, writes
from .attributes import Row, from_item, to_attribute, to_item
from .conditions import Condition
from .failures import ConditionRefused
from .repository import Repository, operation
from .writes import Target

MAX_MODEL_VERSIONS = 100
_ROUNDS = 3
"""A row to make, a map to make in it, an entry to make in that; an owner's row is never unmade."""


class ModelVersionRepository(Repository):
    """What the owner's row says of their model versions."""

    kind = "profile"

    @operation
    def dimension_of(self, user_id: str, model_version: str) -> int | None:
        """Components of the model version's vectors; None where the owner has no such model version."""
        known = self._manager.settled.get((user_id, model_version))
        if known is not None:
            return known
        row = self._read_models(user_id, "#models.#model", {"#models": "models", "#model": model_version})
        return self._remember(user_id, model_version, _dimension(row, model_version))

    @operation
    def require_dimension(self, user_id: str, model_version: str, pointer: str) -> int:
        """As `dimension_of`. Raises InvalidRequest at `pointer` where there is no such model version."""
        dimension = self.dimension_of(user_id, model_version)
        if dimension is None:
            reason = "is no model version that anything was stored under"
            raise InvalidRequest("The model version is unknown.", errors=[FieldError(pointer, reason)])
        return dimension

    @operation
    def declare(self, user_id: str, model_version: str, dimension: int, profile: DBUser | None = None) -> None:
        """Make this the model version's dimension, if it has none yet.

        `profile` becomes the owner's row where that is missing. Raises InvalidRequest where the model version has
        another dimension, Conflict above MAX_MODEL_VERSIONS.
        """
        settled = self.dimension_of(user_id, model_version)
        if settled is None:
            settled = self._settle(user_id, model_version, dimension, profile or DBUser(user_id=user_id))
            self._remember(user_id, model_version, settled)
        check_dimension(dimension, settled, model_version)

    @operation
    def list_model_versions(self, user_id: str) -> dict[str, int]:
        """The dimension of every model version of the owner, by name."""
        row = self._read_models(user_id, "#models", {"#models": "models"})
        return {name: entry["dimension"] for name, entry in sorted(row.get("models", {}).items())}

    def _remember(self, user_id: str, model_version: str, dimension: int | None) -> int | None:
        if dimension is not None:
            self._manager.settle((user_id, model_version), dimension)
        return dimension

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

    def _settle(self, user_id: str, model_version: str, dimension: int, profile: DBUser) -> int:
        """The dimension that the entry then has: this one, or that of who was first."""
        target = Target(self._manager.settings.users_table, {"user_id": user_id}, user_id, self.kind)
        for _ in range(_ROUNDS):
            try:
                self._add_entry(target, model_version, {"dimension": dimension, "created_at": now()})
            except ConditionRefused as refusal:
                row = refusal.row
            else:
                return dimension
            if row is None:
                writes.ensure(self._manager, target, profile.model_dump())
            elif "models" not in row:
                self._add_map(target)
            elif (existing := _dimension(row, model_version)) is not None:
                return existing
            else:
                break
        raise Conflict(f"There are {MAX_MODEL_VERSIONS} model versions, which is the most. Use one of them.")

    def _add_entry(self, target: Target, model_version: str, entry: Row) -> None:
        condition = conditions.owned_by(target.user_id) & conditions.room_for_model(model_version, MAX_MODEL_VERSIONS)
        values = {":entry": to_attribute(entry)}
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


def _dimension(row: Row, model_version: str) -> int | None:
    entry = row.get("models", {}).get(model_version)
    return None if entry is None else int(entry["dimension"])
