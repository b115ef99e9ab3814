"""The model versions of the rows that are accepted, each with one dimension for all of its vectors."""

from collections.abc import Iterator, Sequence

from scripts.migration.failure import Code, Rejection
from scripts.migration.journal import Journal, Model
from scripts.migration.target_rows import TargetRow
from shared.database.model_versions import MAX_MODEL_VERSIONS

_FLUSHED = 10_000
"""Counts of so many model versions are kept in memory."""

_Stated = tuple[str, int, str]
"""A model version as one row has it: name, dimension, and when it was created."""


class ModelCounts:
    """The model versions of embeddings: each has the dimension of the first vector that was read."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: dict[tuple[str, str], tuple[int, int]] = {}
        self._counts: dict[int, tuple[int, str]] = {}
        self._origins: dict[int, str] = {}

    def number_for(self, target: TargetRow) -> int | None:
        """The number in the journal of a vector's model version; what is new to the journal is added, also of a user's.

        Raises Rejection, and has added nothing then, for a dimension that does not belong or one version too many.
        """
        stated = list(_models_of(target))
        known = {name: self._find(target.owner, name) for name, _, _ in stated}
        for name, dimension, _ in stated:
            self._check(name, dimension, known[name])
        new = [model for model in stated if known[model[0]] is None]
        self._refuse_too_many(target.owner, new)
        numbers = [self._journal.add_model(Model(target.owner, *model, 0)) for model in new]
        if target.table != "embeddings":
            return None
        found = known[target.attributes["model_version"]]
        return found[0] if found else numbers[0]

    def count(self, number: int, created_at: str) -> None:
        rows, first = self._counts.get(number, (0, created_at))
        self._counts[number] = (rows + 1, min(first, created_at))
        if len(self._counts) > _FLUSHED:
            self.flush()

    def flush(self) -> None:
        self._journal.count_models(self._counts.items())
        self._counts.clear()
        self._known.clear()
        self._origins.clear()

    def _check(self, name: str, dimension: int, known: tuple[int, int] | None) -> None:
        if known is not None and known[1] != dimension:
            reason = f"has {dimension} components; the vectors of {name} have {known[1]}, {self._origin(known[0])}"
            raise Rejection(Code.DIMENSION_MISMATCH, reason, "embedding_vector")

    def _origin(self, number: int) -> str:
        """Which row settled the dimension: should that one be wrong, it is the one to correct."""
        if number not in self._origins:
            first = self._journal.first_position(number)
            where = first.partition("\0")[2] if first else None
            self._origins[number] = f"as the first one has, {where}" if where else "as the row of their owner says"
        return self._origins[number]

    def _find(self, owner: str, name: str) -> tuple[int, int] | None:
        found = self._known.get((owner, name)) or self._journal.model(owner, name)
        if found is not None:
            self._known[owner, name] = found
        return found

    def _refuse_too_many(self, owner: str, new: Sequence[_Stated]) -> None:
        if new and self._journal.model_count(owner) + len(new) > MAX_MODEL_VERSIONS:
            reason = f"would be more than the {MAX_MODEL_VERSIONS} that an owner may have"
            raise Rejection(Code.TOO_MANY_MODEL_VERSIONS, reason, "model_version", new[-1][0])


def _models_of(target: TargetRow) -> Iterator[_Stated]:
    """What a user's row says of their model versions counts as well as a vector. Raises Rejection."""
    attributes = target.attributes
    if target.table == "embeddings":
        yield attributes["model_version"], attributes["vector_dimension"], attributes["created_at"]
    for name, entry in attributes["models"].items() if target.table == "users" else ():
        dimension = entry.get("dimension") if isinstance(entry, dict) else None
        if not isinstance(dimension, int) or dimension < 1:
            raise Rejection(Code.BAD_VALUE, "has no whole number as dimension", f"models.{name}", entry)
        yield name, dimension, str(entry.get("created_at", attributes["created_at"]))
