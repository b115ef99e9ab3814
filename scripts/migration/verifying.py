"""Whether all arrived: every accepted row of the source beside the one that the table has under its key now."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, get_args

from scripts.migration.calls import Caller, GaveUp
from scripts.migration.canonical import MultisetDigest, row_digest
from scripts.migration.capacity import AdaptiveConcurrency, CapacityLimit
from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal, Model
from scripts.migration.progress import Progress
from scripts.migration.puts import MOST_KEYS, ConditionalPuts
from scripts.migration.reading import Contents, LaterReading
from scripts.migration.registry import Registry
from scripts.migration.rules import Table
from scripts.migration.signatures import signed_rows, write_id
from scripts.migration.target import Target
from scripts.migration.target_rows import CREATED_BY, REGISTRY, TargetRow, key_bytes, visible_digest
from scripts.migration.writer import Numbered, chunked
from shared.database.attributes import Row
from shared.database.conditions import REGISTER

State = Literal["equal", "changed since", "deleted since", "another's content", "another's key", "missing", "different"]
STATES: tuple[State, ...] = get_args(State)
ARRIVED: frozenset[State] = frozenset({"equal", "changed since", "deleted since"})
WRONG: frozenset[State] = frozenset(STATES) - ARRIVED
"""Not there, not as it should be, or kept away by what somebody else has under its key."""

_LEFT_OUT: frozenset[State] = frozenset({"changed since", "deleted since"})
"""What owners did on purpose; it is counted, and in neither digest."""

_THREADS = 8
_MOST_BYTES = 12 * 1024 * 1024


@dataclass(slots=True)
class Verification:
    """The counts by owner, table and state, and the digests of both sides."""

    counts: Counter[tuple[str, str, State]] = field(default_factory=Counter)
    source: MultisetDigest = field(default_factory=MultisetDigest)
    target: MultisetDigest = field(default_factory=MultisetDigest)
    missing_models: int = 0
    different_models: int = 0
    """Model versions whose vectors have another dimension in the target."""

    surplus: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By owner and table, the live rows that this source's migrations have written and that it does not have."""

    @property
    def by_state(self) -> dict[State, int]:
        totals: Counter[State] = Counter()
        for (_, _, state), count in self.counts.items():
            totals[state] += count
        return {state: totals[state] for state in STATES}

    @property
    def is_right(self) -> bool:
        agrees = (self.source.total, self.source.count) == (self.target.total, self.target.count)
        are_models_right = not self.missing_models and not self.different_models
        return agrees and are_models_right and not any(self.by_state[state] for state in WRONG)

    @property
    def arrived(self) -> int:
        """How many accepted rows did, those included that their owners have changed or deleted since."""
        return sum(self.by_state[state] for state in ARRIVED)


class Verifier:
    """Compares; writes nothing."""

    def __init__(self, contents: Contents, journal: Journal, target: Target, source: str) -> None:
        self._contents = contents
        self._journal = journal
        self._target = target
        self._source = source
        caller = Caller(CapacityLimit(None), AdaptiveConcurrency(_THREADS))
        self._puts = ConditionalPuts(target.reader, target.reader, caller)
        self._registry = Registry(journal, self._puts, target.reader, source)
        self._needed: set[tuple[str, str]] = set()
        """Owners and model versions of which there are rows, so that their entries have to be there."""

        self.result = Verification()

    def run(self) -> Verification:
        """Raises MigrationError where the tables cannot be read, or the source has changed."""
        with Progress("verifying", self._journal.row_count()) as progress, ThreadPoolExecutor(_THREADS) as pool:
            running: set[Future[list[tuple[TargetRow, Row | None]]]] = set()
            for chunk in chunked(self._rows(), MOST_KEYS, _MOST_BYTES):
                running.add(pool.submit(self._read, [row for _, row in chunk]))
                if len(running) >= 2 * _THREADS:
                    done, running = wait(running, return_when=FIRST_COMPLETED)
                    self._enter_all(done, progress)
            self._enter_all(running, progress)
        self._compare_models()
        with Progress("looking for surplus rows", None) as progress:
            for table in self._target.tables:
                self.result.surplus.update((row["user_id"], table) for row in self._surplus(table, progress))
        return self.result

    def _compare_models(self) -> None:
        """An entry is in the digests as a row is: by its owner, its name and its dimension."""
        for model, settled in self._registry.settled():
            if (model.owner, model.model_version) not in self._needed:
                continue
            self.result.source.add(_model_digest(model, model.dimension))
            if settled is None:
                self.result.missing_models += 1
            else:
                self.result.target.add(_model_digest(model, settled))
                self.result.different_models += settled != model.dimension

    def _surplus(self, table: Table, progress: Progress) -> Iterator[Row]:
        for row in signed_rows(self._target, table):
            progress.tick(1)
            is_ours = row[CREATED_BY].split(" ")[1:2] == [write_id(table, row, self._source)]
            if is_ours and "deleted_at" not in row and not self._is_known(table, row):
                yield row

    def _is_known(self, table: Table, row: Row) -> bool:
        """A user's row may have been made for the sake of their embeddings alone."""
        is_declared = table == "users" and bool(self._journal.models_of(row["user_id"]))
        return is_declared or self._journal.find_row(key_bytes(table, row)) is not None

    def _rows(self) -> Iterator[Numbered]:
        reading = LaterReading(self._contents, self._journal)
        return chain.from_iterable(reading.rows(name) for name in self._contents.users_first)

    def _read(self, rows: Sequence[TargetRow]) -> list[tuple[TargetRow, Row | None]]:
        try:
            existing = self._puts.existing(rows)
        except GaveUp as error:
            raise MigrationError("The tables do not answer: verify again later.") from error
        return [(row, existing.get(row.key_bytes)) for row in rows]

    def _enter_all(self, done: set[Future[list[tuple[TargetRow, Row | None]]]], progress: Progress) -> None:
        for future in done:
            pairs = future.result()
            for row, existing in pairs:
                self._enter(row, existing)
            progress.tick(len(pairs))

    def _enter(self, row: TargetRow, existing: Row | None) -> None:
        state = state_of(row, existing)
        self.result.counts[row.owner, row.table, state] += 1
        if state in ("equal", "changed since", "different"):
            self._needed.update((row.owner, name) for name in _models_of(row))
        if state not in _LEFT_OUT:
            self.result.source.add(row.digest)
            if existing is not None:
                self.result.target.add(visible_digest(existing))


def state_of(row: TargetRow, existing: Row | None) -> State:
    """What became of a row since it was migrated, or whether it never was."""
    if existing is None:
        return "missing"
    if existing.get("user_id") != row.owner:
        return "another's key"
    if "deleted_at" in existing:
        return "deleted since"
    if visible_digest(existing) == row.digest:
        return "equal"
    entry = existing.get(CREATED_BY, "")
    if entry.split(" ")[1:2] != [row.write.id]:
        return "another's content"
    return "different" if existing.get(REGISTER[0]) == entry else "changed since"


def _models_of(row: TargetRow) -> Iterable[str]:
    return row.attributes[REGISTRY] if row.table == "users" else filter(None, [row.model_version])


def _model_digest(model: Model, dimension: int) -> bytes:
    return row_digest({"": "model version", "owner": model.owner, "name": model.model_version, "dimension": dimension})
