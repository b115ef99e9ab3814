"""The journal: on disk once it says so, and of one format."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from unittest.mock import patch

import pytest

from scripts.migration.batches import Written
from scripts.migration.calls import Caller, Stopped
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


def written(chunk: Sequence[TargetRow]) -> list[Written]:
    return [(row, Outcome.WRITTEN) for row in chunk]


def run(journal: Journal, write: Callable[[Sequence[TargetRow]], Iterable[Written]], count: int) -> int:
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

    def write(chunk: Sequence[TargetRow]) -> list[Written]:
        with lock:
            seen.extend(row.key["id"] for row in chunk)
        return written(chunk)

    assert run(journal, write, 503) == 0
    assert sorted(seen) == sorted(f"n{number}" for number in range(503))
    assert journal.outcome_counts() == {Outcome.WRITTEN: 503}


def test_what_one_thread_raises_ends_the_run_and_what_was_written_is_kept(journal: Journal) -> None:
    def write(chunk: Sequence[TargetRow]) -> list[Written]:
        if chunk[0].key["id"] == "n100":
            raise MigrationError("no")
        return written(chunk)

    with pytest.raises(MigrationError, match="no"):
        run(journal, write, 5_000)
    counts = journal.outcome_counts()
    assert 0 < counts[Outcome.WRITTEN] < 5_000


@pytest.mark.parametrize("end", [MigrationError("the lock is lost"), Stopped()])
def test_what_a_chunk_wrote_before_it_was_stopped_in_the_middle_is_kept(end: Exception, journal: Journal) -> None:
    def write(chunk: Sequence[TargetRow]) -> Iterator[Written]:
        yield from written(chunk[:3])
        raise end

    with contextlib.suppress(MigrationError):
        run(journal, write, 10)
    assert journal.outcome_counts() == {Outcome.WRITTEN: 3}


def test_rows_are_seen_before_they_are_acknowledged(journal: Journal) -> None:
    """So that a key that is taken is in the rejects file by then."""
    told: list[str] = []
    acknowledgements = Acknowledgements(journal.another())

    def put(outcomes: list[tuple[int, Outcome]]) -> None:
        told.append("acknowledged")

    caller = Caller(CapacityLimit(None), AdaptiveConcurrency(1))
    with patch.object(acknowledgements, "put", put):
        made = Writers(1, caller, acknowledgements, lambda seen: told.append("seen"))
        made.submit(written, rows(1))
        made.close()
    acknowledgements.close()
    assert told == ["seen", "acknowledged"]


def test_a_full_disk_is_told(journal: Journal) -> None:
    journal._execute("PRAGMA max_page_count = 1")  # 1 stands for as many as there are
    with pytest.raises(MigrationError, match=r"journal.sqlite cannot be used .*full.*Make room"):
        journal.acknowledge((number, Outcome.WRITTEN) for number in range(100_000))


def test_a_damaged_journal_is_told(journal: Journal, tmp_path: Path) -> None:
    journal.acknowledge((number, Outcome.WRITTEN) for number in range(10_000))
    journal.close()
    path = tmp_path / "journal.sqlite"
    content = path.read_bytes()
    path.write_bytes(content[:8192] + b"x" * (len(content) - 8192))
    with closing(Journal(path)) as damaged, pytest.raises(MigrationError, match=r"cannot be used .*If it is damaged"):
        damaged.outcome_counts()


def test_a_new_journal_knows_what_earlier_runs_wrote_and_what_they_only_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    outcomes = {b"written": Outcome.WRITTEN, b"found": Outcome.PRESENT, b"kept": Outcome.KEPT}
    with closing(Journal.create(path, "these tables")) as journal:
        numbers = [add(journal, key) for key in outcomes]
        journal.acknowledge(zip(numbers, outcomes.values(), strict=True))
        journal.note_written([b"made"])
        journal.put(phase="finished")
    with closing(Journal.create(path, "these tables")) as second:
        assert second.get("before") == "finished"
        second.acknowledge([(add(second, b"written"), Outcome.PRESENT)])
    for target, there, written in [("these tables", {"written", "found", "made"}, {"written", "made"}), ("", (), ())]:
        with closing(Journal.create(path, target)) as third:
            assert third.get("before") is None
            keys = [*outcomes, b"made"]
            assert {key.decode() for key in keys if third.was_there(key)} == set(there)
            assert {key.decode() for key in keys if third.was_written(key)} == set(written)


def add(journal: Journal, key: bytes) -> int:
    journal.add_row(key, "", b"", b"", None)
    row = journal.find_row(key)
    assert row is not None
    return row.number


def test_rows_that_are_given_up_are_counted_and_not_acknowledged(journal: Journal) -> None:
    def write(chunk: Sequence[TargetRow]) -> list[Written]:
        return [(row, None if row.key["id"].endswith("7") else Outcome.WRITTEN) for row in chunk]

    assert run(journal, write, 100) == 10
    assert journal.outcome_counts() == {Outcome.WRITTEN: 90}
    assert not journal.is_acknowledged(7)


def test_many_rows_that_are_given_up_end_the_run(journal: Journal) -> None:
    with pytest.raises(WritingError, match="resume later"):
        run(journal, lambda chunk: [(row, None) for row in chunk], 5_000)


def test_chunks_are_bounded_in_rows_and_bytes() -> None:
    assert [len(chunk) for chunk in chunked(rows(60), 25, 10**9)] == [25, 25, 10]
    sizes = [sum(row.size for _, row in chunk) for chunk in chunked(rows(60, size=1_000), 25, 10_000)]
    assert max(sizes) <= 10_000
    assert len(sizes) == 8
    assert list(chunked([], 25, 10)) == []
