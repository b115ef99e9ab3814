"""Writing on many threads: rows in, their outcomes into the journal, in groups that reach the disk together."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from scripts.migration.calls import Caller, GaveUp, Stopped
from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal, Outcome
from scripts.migration.puts import ConditionalPuts
from scripts.migration.target_rows import TargetRow
from shared.database.attributes import Row

Numbered = tuple[int, TargetRow]
Write = Callable[[Sequence[TargetRow]], Iterable[tuple[TargetRow, Outcome | None]]]
"""Every row with its outcome, as soon as it is known: what comes to an end in the middle has said what it did."""

Seen = Callable[[Sequence[tuple[TargetRow, Outcome | None]]], None]
"""Is told of rows before they are acknowledged."""

_COMMITTED_ROWS, _COMMIT_SECONDS = 1_000, 0.1
_GIVEN_UP = 200
"""So many rows that cannot be written are enough to stop: it is not the rows."""


class WritingError(MigrationError):
    """Rows were given up. What was written is in the journal, so that `resume` goes on with the others."""


class Acknowledgements:
    """A thread that commits outcomes to the journal, many at once: a disk takes as long for one as for a thousand."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._queue: queue.SimpleQueue[list[tuple[int, Outcome]] | None] = queue.SimpleQueue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="journal")
        self._thread.start()

    def put(self, outcomes: list[tuple[int, Outcome]]) -> None:
        self._queue.put(outcomes)

    def close(self) -> None:
        """Returns when everything is on disk. Raises what the journal raised."""
        self._queue.put(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def _run(self) -> None:
        try:
            while self._commit_next():
                pass
        except BaseException as error:  # noqa: BLE001 - raised again by `close`, on the thread that waits
            self._failure = error

    def _commit_next(self) -> bool:
        """Commit what arrives within a moment; False after the last."""
        arrived = self._queue.get()
        gathered: list[tuple[int, Outcome]] = []
        with suppress(queue.Empty):
            while arrived is not None:
                gathered += arrived
                if len(gathered) >= _COMMITTED_ROWS:
                    break
                arrived = self._queue.get(timeout=_COMMIT_SECONDS)
        if gathered:
            self._journal.acknowledge(gathered)
        return arrived is not None


class Writers:
    """Threads that write chunks of rows. The chunks that wait are bounded, so that memory stays flat."""

    def __init__(self, threads: int, caller: Caller, acknowledgements: Acknowledgements, seen: Seen) -> None:
        self._caller = caller
        self._acknowledgements = acknowledgements
        self._seen = seen
        self._chunks: queue.Queue[tuple[Write, list[Numbered]] | None] = queue.Queue(2 * threads)
        self._failure: BaseException | None = None
        self._lock = threading.Lock()
        self._given_up = 0
        self._threads = [threading.Thread(target=self._run, name=f"writer-{number}") for number in range(threads)]
        for thread in self._threads:
            thread.start()

    def submit(self, write: Write, chunk: list[Numbered]) -> None:
        """Have a chunk written. Raises what stopped an earlier one."""
        if self._failure is not None or self._acknowledgements.has_failed:
            self._raise()
        self._chunks.put((write, chunk))

    def drain(self) -> None:
        """Returns when every chunk so far is written. Raises what stopped one."""
        self._chunks.join()
        if self._failure is not None:
            self._raise()

    def close(self, *, stop: bool = False) -> None:
        """Ends the threads, after all chunks, or at once where the run has failed. Never raises."""
        if stop:
            self._caller.stopping.set()
        for _ in self._threads:
            self._chunks.put(None)
        for thread in self._threads:
            thread.join()

    @property
    def given_up(self) -> int:
        return self._given_up

    def _run(self) -> None:
        while (work := self._chunks.get()) is not None:
            try:
                self._write(*work)
            except Stopped:
                pass
            except BaseException as error:  # noqa: BLE001 - raised again by `submit` or `drain`
                self._fail(error)
            finally:
                self._chunks.task_done()
        self._chunks.task_done()

    def _write(self, write: Write, chunk: list[Numbered]) -> None:
        self._caller.check()
        numbers = {row.key_bytes: number for number, row in chunk}
        done: list[tuple[TargetRow, Outcome | None]] = []
        try:
            done.extend(write([row for _, row in chunk]))  # what it raises leaves the rows before it in the list
        finally:
            self._hand_over(numbers, done)
        if self._given_up >= _GIVEN_UP:
            raise WritingError(
                f"{self._given_up} rows could not be written, as the tables do not answer: resume later."
            )

    def _hand_over(self, numbers: dict[bytes, int], done: Sequence[tuple[TargetRow, Outcome | None]]) -> None:
        self._seen(done)
        self._acknowledgements.put([(numbers[row.key_bytes], outcome) for row, outcome in done if outcome is not None])
        with self._lock:
            self._given_up += sum(outcome is None for _, outcome in done)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._failure = self._failure or error
        self._caller.stopping.set()

    def _raise(self) -> NoReturn:
        if self._failure is not None:
            raise self._failure
        raise MigrationError("The journal cannot be written: is the disk full?")


@dataclass(frozen=True, slots=True)
class Before:
    """Keys of rows that earlier runs from the same folder have to do with."""

    there: frozenset[bytes] = frozenset()
    """They wrote these, or found them as they should be: one that is not there any more has been deleted."""

    written: frozenset[bytes] = frozenset()
    """They wrote these, so that a better mapping may replace them."""


def put_each(puts: ConditionalPuts) -> Write:
    """Conditional puts one after the other, for a table where few rows are there already."""

    def write(rows: Sequence[TargetRow]) -> Iterator[tuple[TargetRow, Outcome | None]]:
        return ((row, _put(puts, row)) for row in rows)

    return write


def look_and_put(puts: ConditionalPuts, before: Before) -> Write:
    """Read the rows that are there, then put those that are not: what is there already costs no write."""

    def write(rows: Sequence[TargetRow]) -> Iterator[tuple[TargetRow, Outcome | None]]:
        try:
            existing = puts.existing(rows)
        except GaveUp:
            yield from ((row, None) for row in rows)
            return
        yield from ((row, _put_beside(puts, row, existing.get(row.key_bytes), before)) for row in rows)

    return write


def chunked(rows: Iterable[Numbered], most: int, most_bytes: int) -> Iterable[list[Numbered]]:
    """Lists of rows of one table: as many as one call takes."""
    chunks: dict[str, list[Numbered]] = {}
    sizes: dict[str, int] = {}
    for number, row in rows:
        chunk = chunks.setdefault(row.table, [])
        if chunk and (len(chunk) == most or sizes[row.table] + row.size > most_bytes):
            yield chunk
            chunk = chunks[row.table] = []
            sizes[row.table] = 0
        chunk.append((number, row))
        sizes[row.table] = sizes.get(row.table, 0) + row.size
    yield from (chunk for chunk in chunks.values() if chunk)


def _put(puts: ConditionalPuts, row: TargetRow) -> Outcome | None:
    try:
        return puts.put(row)
    except GaveUp:
        return None


def _put_beside(puts: ConditionalPuts, row: TargetRow, found: Row | None, before: Before) -> Outcome | None:
    if found is None:
        return Outcome.KEPT if row.key_bytes in before.there else _put(puts, row)
    try:
        return puts.put_over(row, found, may_replace=row.key_bytes in before.written)
    except GaveUp:
        return None
