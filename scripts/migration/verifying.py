"""Whether all arrived: every accepted row of the source beside the one that the table has under its key now."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, get_args

from scripts.migration.calls import Caller, GaveUp
from scripts.migration.canonical import MultisetDigest
from scripts.migration.capacity import AdaptiveConcurrency, CapacityLimit
from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal, Outcome
from scripts.migration.progress import Progress
from scripts.migration.puts import MOST_KEYS, ConditionalPuts, judge
from scripts.migration.reading import Contents, LaterReading
from scripts.migration.registry import Registry
from scripts.migration.target import Target
from scripts.migration.target_rows import CREATED_BY, TargetRow, visible_digest
from scripts.migration.writer import Numbered, chunked
from shared.database.attributes import Row

State = Literal["equal", "changed since", "deleted since", "another's content", "another's key", "missing", "different"]
STATES: tuple[State, ...] = get_args(State)
WRONG: frozenset[State] = frozenset({"missing", "different"})
_LEFT_OUT: frozenset[State] = frozenset({"changed since", "deleted since", "another's content", "another's key"})
"""What somebody did on purpose; it is counted, and in neither digest."""

_THREADS = 8
_MOST_BYTES = 12 * 1024 * 1024


@dataclass(slots=True)
class Verification:
    """The counts by owner, table and state, and the digests of both sides."""

    counts: Counter[tuple[str, str, State]] = field(default_factory=Counter)
    source: MultisetDigest = field(default_factory=MultisetDigest)
    target: MultisetDigest = field(default_factory=MultisetDigest)
    missing_models: int = 0

    @property
    def by_state(self) -> dict[State, int]:
        totals: Counter[State] = Counter()
        for (_, _, state), count in self.counts.items():
            totals[state] += count
        return {state: totals[state] for state in STATES}

    @property
    def is_right(self) -> bool:
        agrees = (self.source.total, self.source.count) == (self.target.total, self.target.count)
        return agrees and not self.missing_models and not any(self.by_state[state] for state in WRONG)


class Verifier:
    """Compares; writes nothing."""

    def __init__(self, contents: Contents, journal: Journal, target: Target, source: str) -> None:
        self._contents = contents
        self._journal = journal
        caller = Caller(CapacityLimit(None), AdaptiveConcurrency(_THREADS))
        self._puts = ConditionalPuts(target.reader, target.reader, caller)
        self._registry = Registry(journal, self._puts, target.reader, source)
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
        self.result.missing_models = self._registry.missing()
        return self.result

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
        if state not in _LEFT_OUT:
            self.result.source.add(row.digest)
            if existing is not None:
                self.result.target.add(visible_digest(existing))


def state_of(row: TargetRow, existing: Row | None) -> State:
    """What became of a row since it was migrated, or whether it never was."""
    if existing is None:
        return "missing"
    outcome = judge(row, existing)
    if outcome is Outcome.PRESENT:
        return "equal"
    if outcome is Outcome.TAKEN:
        return "another's key"
    if outcome is Outcome.REPLACED:
        return "different"
    if "deleted_at" in existing:
        return "deleted since"
    is_ours = existing.get(CREATED_BY, "").split(" ")[1:2] == [row.write.id]
    return "changed since" if is_ours else "another's content"
