"""The journal: on disk once it says so, and of one format."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from scripts.migration.calls import Caller
from scripts.migration.capacity import AdaptiveConcurrency, CapacityLimit
from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal, Outcome
from scripts.migration.target_rows import TargetRow
from scripts.migration.writer import Acknowledgements, Numbered, Writers, WritingError, chunked
from shared.database.writes import WriteId


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "journal.sqlite")


def rows(count: int, size: int = 10) -> list[Numbered]:
    return [
        (number, TargetRow("reports", "u", {"id": f"n{number}", "updated_at": "", "x": "x" * size}, WriteId()))
        for number in range(count)
    ]


def writers(journal: Journal, acknowledgements: Acknowledgements, threads: int = 4) -> Writers:
    caller = Caller(CapacityLimit(None), AdaptiveConcurrency(threads))
    return Writers(threads, caller, acknowledgements, lambda seen: None)


def test_every_outcome_that_was_put_is_on_disk_after_the_end(journal: Journal, tmp_path: Path) -> None:
    acknowledgements = Acknowledgements(journal.another())
    for start in range(0, 5_000, 7):
        acknowledgements.put([(number, Outcome.WRITTEN) for number in range(start, min(start + 7, 5_000))])
    acknowledgements.close()
    with closing(Journal(tmp_path / "journal.sqlite")) as again:
        assert again.outcome_counts() == {Outcome.WRITTEN: 5_000}
        assert again.is_acknowledged(4_999)
        assert not again.is_acknowledged(5_000)


def test_a_commit_reaches_the_disk(journal: Journal) -> None:
    """2 is FULL: SQLite waits for the disk at every commit."""
    assert journal._execute("PRAGMA synchronous").fetchone() == (2,)
    with closing(journal.another()) as other:
        assert other._execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_journal_that_cannot_be_written_stops_the_run(journal: Journal) -> None:
    broken = journal.another()
    broken.close()
    acknowledgements = Acknowledgements(broken)
    made = writers(journal, acknowledgements)
    acknowledgements.put([(1, Outcome.WRITTEN)])
    acknowledgements._thread.join(5)
    with pytest.raises(MigrationError, match="The journal cannot be written"):
        made.submit(written, rows(1))
    made.close(stop=True)
    with pytest.raises(sqlite3.ProgrammingError):
        acknowledgements.close()


def test_another_file_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello " * 100)
    with pytest.raises(MigrationError, match="is no work file"):
        Journal(tmp_path / "notes.txt")


def test_a_journal_of_another_release_is_refused(journal: Journal, tmp_path: Path) -> None:
    journal.put(format="0")
    with pytest.raises(MigrationError, match="of another release"):
        Journal(tmp_path / "journal.sqlite")


def written(chunk: Sequence[TargetRow]) -> list[Outcome | None]:
    return [Outcome.WRITTEN for _ in chunk]


def run(journal: Journal, write: Callable[[Sequence[TargetRow]], list[Outcome | None]], count: int) -> int:
    """How many rows were given up, once all others are in the journal."""
    acknowledgements = Acknowledgements(journal.another())
    made = writers(journal, acknowledgements)
    try:
        for chunk in chunked(rows(count), 10, 10**6):
            made.submit(write, chunk)
        made.drain()
    except BaseException:
        made.close(stop=True)
        raise
    else:
        made.close()
        return made.given_up
    finally:
        acknowledgements.close()


def test_every_row_is_written_once(journal: Journal) -> None:
    seen: list[str] = []
    lock = threading.Lock()

    def write(chunk: Sequence[TargetRow]) -> list[Outcome | None]:
        with lock:
            seen.extend(row.key["id"] for row in chunk)
        return written(chunk)

    assert run(journal, write, 503) == 0
    assert sorted(seen) == sorted(f"n{number}" for number in range(503))
    assert journal.outcome_counts() == {Outcome.WRITTEN: 503}


def test_what_one_thread_raises_ends_the_run_and_what_was_written_is_kept(journal: Journal) -> None:
    def write(chunk: Sequence[TargetRow]) -> list[Outcome | None]:
        if chunk[0].key["id"] == "n100":
            raise MigrationError("no")
        return written(chunk)

    with pytest.raises(MigrationError, match="no"):
        run(journal, write, 5_000)
    counts = journal.outcome_counts()
    assert 0 < counts[Outcome.WRITTEN] < 5_000


def test_rows_that_are_given_up_are_counted_and_not_acknowledged(journal: Journal) -> None:
    def write(chunk: Sequence[TargetRow]) -> list[Outcome | None]:
        return [None if row.key["id"].endswith("7") else Outcome.WRITTEN for row in chunk]

    assert run(journal, write, 100) == 10
    assert journal.outcome_counts() == {Outcome.WRITTEN: 90}
    assert not journal.is_acknowledged(7)


def test_many_rows_that_are_given_up_end_the_run(journal: Journal) -> None:
    with pytest.raises(WritingError, match="resume later"):
        run(journal, lambda chunk: [None] * len(chunk), 5_000)


def test_chunks_are_bounded_in_rows_and_bytes() -> None:
    assert [len(chunk) for chunk in chunked(rows(60), 25, 10**9)] == [25, 25, 10]
    sizes = [sum(row.size for _, row in chunk) for chunk in chunked(rows(60, size=1_000), 25, 10_000)]
    assert max(sizes) <= 10_000
    assert len(sizes) == 8
    assert list(chunked([], 25, 10)) == []
