"""The model versions in the owners' rows: each is declared before the first vector of it is written."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import groupby, islice

from scripts.migration.calls import GaveUp
from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal, Model, Outcome
from scripts.migration.puts import MOST_KEYS, ConditionalPuts
from scripts.migration.target_rows import REGISTRY, TargetRow, derived_id, user_row
from shared.database.attributes import Row
from shared.database.manager import DatabaseManager
from shared.database.model_versions import MAX_MODEL_VERSIONS, ModelVersionRepository
from shared.database.writes import WriteId
from shared.errors import ApiError
from shared.models.user import DBUser

Owned = tuple[str, list[Model]]


class Registry:
    """What the owners' rows in the target say of their model versions, and are made to say."""

    def __init__(self, journal: Journal, puts: ConditionalPuts, manager: DatabaseManager, source: str) -> None:
        self._journal = journal
        self._puts = puts
        self._repository = ModelVersionRepository(manager)
        self._source = source

    def check(self) -> None:
        """Raises MigrationError where an owner has a model version of another dimension, or too many of them."""
        for (owner, models), row in self._owners(self._journal.models()):
            registry = row.get(REGISTRY, {}) if row else {}
            _check_room(owner, {*registry, *(model.model_version for model in models)})
            for model in models:
                settled = int(registry.get(model.model_version, {}).get("dimension", model.dimension))
                if settled != model.dimension:
                    raise MigrationError(
                        f"{owner} has the model version {model.model_version} with {settled} components already; in "
                        f"the source it has {model.dimension}: map these rows to a model_version of another name."
                    )

    def declare_new(self, *, is_empty: bool) -> None:
        """Make the rows and entries that are missing for what will be written. Raises MigrationError.

        `is_empty`: the table of embeddings was when the migration began, so that all of them will be.
        """
        self._declare(self._journal.models() if is_empty else self._journal.new_models())

    def declare_found(self) -> None:
        """Make those that are missing for what turned out to be there; of what was deleted nothing is made."""
        self._declare(self._journal.found_models())

    def _declare(self, chosen: Iterable[Model]) -> None:
        with closing(self._journal.another()) as notes:  # while this one reads, it cannot write
            for (owner, models), row in self._owners(chosen):
                if row is not None:
                    self._add_missing(owner, models, row)
                elif any(model.rows for model in models):
                    self._make(owner, models, notes)

    def settled(self) -> Iterator[tuple[Model, int | None]]:
        """Every model version of the source, and its dimension in the target; None where the owner's row lacks it."""
        for (_, models), row in self._owners(self._journal.models()):
            registry = (row or {}).get(REGISTRY, {})
            for model in models:
                entry = registry.get(model.model_version)
                yield model, None if entry is None else int(entry["dimension"])

    def complete(self, row: TargetRow) -> TargetRow:
        """A user's row with the model versions that the source has embeddings of."""
        entries = _entries(self._journal.models_of(row.owner))
        models = {**entries, **row.attributes[REGISTRY]}
        return TargetRow(row.table, row.owner, {**row.attributes, REGISTRY: models}, row.write)

    def _make(self, owner: str, models: list[Model], notes: Journal) -> None:
        """The row that the API would make at the owner's first embedding, as old as the oldest of these."""
        row = self._new_row(owner, models)
        with _told():
            outcome = self._puts.put(row)
        if outcome is Outcome.WRITTEN:
            notes.note_written([row.key_bytes])
        else:
            self._add_missing(owner, models, {})  # they signed in just now

    def _new_row(self, owner: str, models: list[Model]) -> TargetRow:
        created_at = min(model.first_created for model in models)
        user = DBUser(user_id=owner, models=_entries(models), created_at=created_at)
        return user_row(user, WriteId(derived_id("write", self._source, "users", owner)))

    def _add_missing(self, owner: str, models: list[Model], row: Row) -> None:
        for model in models:
            if model.model_version not in row.get(REGISTRY, {}):
                self._add(model)

    def _add(self, model: Model) -> None:
        def declare() -> None:
            self._repository.declare(model.owner, model.model_version, model.dimension)

        units = self._new_row(model.owner, [model]).write_units
        try:
            with _told():
                self._puts.caller.call(declare, units, lambda _: units)
        except ApiError as error:
            raise MigrationError(
                f"{model.model_version} of {model.owner} cannot be declared. {error.detail}"
            ) from error

    def _owners(self, chosen: Iterable[Model]) -> Iterator[tuple[Owned, Row | None]]:
        """Every owner of these model versions, and their row in the target."""
        owners = ((owner, list(models)) for owner, models in groupby(chosen, lambda model: model.owner))
        for group in _groups(owners):
            keys = [self._new_row(owner, models) for owner, models in group]
            with _told():
                existing = self._puts.existing(keys)
            for owned, key in zip(group, keys, strict=True):
                yield owned, existing.get(key.key_bytes)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except GaveUp as error:
        raise MigrationError(
            "The users table does not answer: try again later, with resume if a run has begun."
        ) from error


def _entries(models: Iterable[Model]) -> dict[str, dict[str, object]]:
    return {model.model_version: {"dimension": model.dimension, "created_at": model.first_created} for model in models}


def _check_room(owner: str, names: set[str]) -> None:
    if len(names) > MAX_MODEL_VERSIONS:
        raise MigrationError(
            f"{owner} would have {len(names)} model versions, and {MAX_MODEL_VERSIONS} are the most: leave some out."
        )


def _groups(owners: Iterable[Owned]) -> Iterator[list[Owned]]:
    iterator = iter(owners)
    while group := list(islice(iterator, MOST_KEYS)):
        yield group
