"""The writing of one migration: users, then their model versions, then everything that refers to them."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from scripts.migration.batches import MOST_BYTES, MOST_ITEMS, Batches
from scripts.migration.calls import Caller
from scripts.migration.capacity import AdaptiveConcurrency, CapacityLimit
from scripts.migration.failure import Code, MigrationError, Rejection
from scripts.migration.interleaving import Window
from scripts.migration.journal import Journal, Outcome
from scripts.migration.lock import TargetLock
from scripts.migration.mapping import Mapping
from scripts.migration.progress import Progress, say
from scripts.migration.puts import ConditionalPuts
from scripts.migration.reading import Contents, LaterReading
from scripts.migration.registry import Registry
from scripts.migration.rejects import Rejects
from scripts.migration.rules import Table
from scripts.migration.snapshots import discard_snapshots
from scripts.migration.target import Target
from scripts.migration.target_rows import TargetRow
from scripts.migration.writer import Acknowledgements, Before, Numbered, Write, Writers, chunked, look_and_put, put_each
from shared.similarity.objects import ObjectStore

THREADS = 8
"""More wait for Python's interpreter rather than for tables that answer within some milliseconds."""

_SINGLE_ROWS = 8
"""Rows that one thread puts one after the other before it takes more."""

_BATCHED: frozenset[Table] = frozenset({"reports", "embeddings"})
_FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a run writes at most."""

    threads: int = THREADS
    max_wcu: float | None = None
    batches: bool = True
    """Whether a table that is found empty is written in unconditional batches."""


class Run:
    """One start of `apply` or `resume`, over a journal that the first reading has filled."""

    def __init__(
        self,
        contents: Contents,
        mapping: Mapping,
        journal: Journal,
        target: Target,
        rejects: Rejects,
        pace: Pace,
        holder: str,
    ) -> None:
        self._contents = contents
        self._journal = journal
        self._target = target
        self._rejects = rejects
        self._pace = pace
        self._lock = TargetLock(target.reader, holder)
        self.caller = Caller(CapacityLimit(pace.max_wcu), AdaptiveConcurrency(pace.threads), self._lock.check)
        self._puts = ConditionalPuts(target.writer, target.reader, self.caller)
        self.batches = Batches(target.writer, self._puts, self.caller)
        self._registry = Registry(journal, self._puts, target.reader, mapping.source)
        self._batched: frozenset[Table] = frozenset()
        self._refilled: frozenset[str] = frozenset()
        """Tables that were empty when the migration began: what earlier runs wrote there was not deleted row by row."""

    def write(self, *, resumed: bool) -> None:
        """Write every accepted row that is not acknowledged yet. Raises MigrationError; `resume` goes on then."""
        with self._lock.held():
            self._registry.check()
            self._look_at_tables(resumed=resumed)
            self._write_all()
            self._registry.declare_found()
            self._discard(resumed=resumed)
            self._journal.put(phase=_FINISHED)

    def _look_at_tables(self, *, resumed: bool) -> None:
        """Only `apply` may take a table for empty; that one was, `resume` has to know as well."""
        if resumed:
            self._refilled = frozenset((self._journal.get("refilled") or "").split())
            return
        empty = frozenset(table for table in self._target.tables if self._target.is_empty(table))
        self._batched = empty & _BATCHED
        self._refilled = frozenset(empty)
        self._journal.put(phase="writing", refilled=" ".join(sorted(empty)))

    def _write_all(self) -> None:
        acknowledgements = Acknowledgements(self._journal.another())
        try:
            with Progress("writing", self._journal.row_count()) as progress:
                seen = _Seen(progress, self.caller, self._rejects)
                writers = Writers(self._pace.threads, self.caller, acknowledgements, seen)
                self._feed(writers, progress)
        finally:
            acknowledgements.close()
        if writers.given_up:
            raise MigrationError(f"{writers.given_up} rows could not be written, as the tables do not answer: resume.")

    def _feed(self, writers: Writers, progress: Progress) -> None:
        names = self._contents.users_first
        users = [name for name in names if self._contents.transformers[name].table == "users"]
        try:
            self._submit(writers, users, progress)
            writers.drain()
            self._registry.declare_new(is_empty="embeddings" in self._refilled)
            self._submit(writers, names[len(users) :], progress)
            writers.drain()
        except BaseException:
            writers.close(stop=True)
            raise
        writers.close()

    def _submit(self, writers: Writers, names: Sequence[str], progress: Progress) -> None:
        window: Window[Numbered] = Window()
        arriving = ((row.partition, row.size, (number, row)) for number, row in self._waiting(names, progress))
        for chunk in chunked(window.interleaved(arriving), self._rows_at_once, MOST_BYTES):
            writers.submit(self._way(chunk), chunk)

    def _waiting(self, names: Sequence[str], progress: Progress) -> Iterator[Numbered]:
        """The rows that are not acknowledged."""
        reading = LaterReading(self._contents, self._journal)
        for name in names:
            for number, row in reading.rows(name):
                if self._journal.is_acknowledged(number):
                    progress.tick(1)
                else:
                    yield number, self._registry.complete(row) if row.table == "users" else row

    def _way(self, chunk: Sequence[Numbered]) -> Write:
        table = chunk[0][1].table
        if table not in self._batched:
            return look_and_put(self._puts, self._before(table, chunk))
        if not self._pace.batches:
            return put_each(self._puts)
        name = self._target.tables[table]
        return lambda rows: self.batches.write(name, rows)

    def _before(self, table: Table, chunk: Sequence[Numbered]) -> Before:
        if table in self._refilled:
            return Before()
        there = frozenset(row.key_bytes for _, row in chunk if self._journal.was_there(row.key_bytes))
        return Before(there, frozenset(key for key in there if self._journal.was_written(key)))

    @property
    def _rows_at_once(self) -> int:
        return MOST_ITEMS if self._pace.batches or not self._batched else _SINGLE_ROWS

    def _discard(self, *, resumed: bool) -> None:
        """After a run that did not end nobody can tell what it wrote just before from what was there already."""
        objects = self._target.objects()
        is_known = not resumed and self._journal.get("before") == _FINISHED
        touched = self._journal.touched_models(is_known=is_known)
        if not touched:
            return
        if objects is None:
            say("No SIMILARITY_BUCKET is named: the snapshots of what was written are not discarded.")
            return
        with ThreadPoolExecutor(self._pace.threads) as pool:
            told = [pool.submit(self._discard_one, objects, *model) for model in touched]
        failures = dict.fromkeys(failure for one in told if (failure := one.result()))
        if failures:
            raise MigrationError("\n".join(failures))

    def _discard_one(self, objects: ObjectStore, owner: str, model_version: str) -> str | None:
        """What went wrong with it; the others are tried all the same."""
        try:
            self._lock.check()
            discard_snapshots(objects, owner, model_version)
        except MigrationError as error:
            return str(error)
        return None


class _Seen:
    """Shows what was written, and notes the rows whose key another user's row has."""

    def __init__(self, progress: Progress, caller: Caller, rejects: Rejects) -> None:
        self._progress = progress
        self._caller = caller
        self._rejects = rejects

    def __call__(self, rows: Sequence[tuple[TargetRow, Outcome | None]]) -> None:
        self._progress.tick(len(rows), self._caller.limit.consumed)
        for row, outcome in rows:
            if outcome is Outcome.TAKEN:
                rejection = Rejection(
                    Code.KEY_TAKEN, "is the id of another user's report", "id", row.attributes.get("id")
                )
                self._rejects.add(row.table, " ".join(row.key.values()), rejection)
        if any(outcome is Outcome.TAKEN for _, outcome in rows):
            self._rejects.flush()


def is_finished(journal: Journal) -> bool:
    return journal.get("phase") == _FINISHED
