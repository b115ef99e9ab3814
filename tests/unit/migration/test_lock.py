"""One runner at a time, and a run that died lets itself in again at once."""

import threading
from pathlib import Path

import pytest

from scripts.migration import lock as module
from scripts.migration.failure import MigrationError
from scripts.migration.lock import LEASE_SECONDS, LOCK_ID, TargetLock
from scripts.migration.target import Target
from scripts.migration.work import WorkFolder
from shared.database.embeddings import require_owner
from shared.errors import Forbidden
from tests.support.faults import answering, faulty
from tests.support.migrating import table_rows


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def holders(target: Target) -> list[str]:
    return [row["holder"] for row in table_rows(target, "users")]


def test_a_second_runner_is_kept_out_until_the_first_ends(target: Target) -> None:
    with TargetLock(target.reader, "one").held() as held:
        held.check()
        with pytest.raises(MigrationError, match="run one"), TargetLock(target.reader, "two").held():
            pytest.fail("both have the lock")
        assert holders(target) == ["one"]
    with TargetLock(target.reader, "two").held():
        assert holders(target) == ["two"]
    assert holders(target) == []


def test_a_run_that_died_goes_on_at_once_and_others_wait_for_its_lease(target: Target) -> None:
    clock = Clock()
    TargetLock(target.reader, "one", clock)._take()
    with TargetLock(target.reader, "one", clock).held():
        pass
    TargetLock(target.reader, "one", clock)._take()
    clock.now += LEASE_SECONDS - 1
    with pytest.raises(MigrationError, match="gives way within"), TargetLock(target.reader, "two", clock).held():
        pytest.fail("both have the lock")
    clock.now += 2
    with TargetLock(target.reader, "two", clock).held():
        assert holders(target) == ["two"]


def test_a_lease_that_was_not_renewed_stops_the_writing_before_it_ends(target: Target) -> None:
    clock = Clock()
    with TargetLock(target.reader, "one", clock).held() as held:
        clock.now += LEASE_SECONDS / 2
        held.check()
        clock.now += LEASE_SECONDS / 4
        with pytest.raises(MigrationError, match="could not be renewed in time"):
            held.check()


def test_the_lease_is_renewed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEWAL_SECONDS", 0.01)
    renewed = threading.Event()
    clock = Clock()
    lock = TargetLock(target.reader, "one", clock)
    put = lock._put

    def counted() -> None:
        put()
        renewed.set()

    with lock.held():
        clock.now += LEASE_SECONDS
        monkeypatch.setattr(lock, "_put", counted)
        assert renewed.wait(5)
        lock.check()


def test_a_lock_that_another_took_over_stops_this_run_and_stays_theirs(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RENEWAL_SECONDS", 0.01)
    clock = Clock()
    later = Clock()
    later.now += LEASE_SECONDS + 1
    lock = TargetLock(target.reader, "one", clock)
    with lock.held():
        TargetLock(target.reader, "two", later)._take()
        for thread in threading.enumerate():
            if thread.name == "lease":
                thread.join(5)
        with pytest.raises(MigrationError, match="Another migration has taken the lock"):
            lock.check()
    assert holders(target) == ["two"]


def test_a_table_that_does_not_answer_gives_no_lock(target: Target) -> None:
    fault = answering(400, "AccessDeniedException", message="no")
    lock = TargetLock(target.reader, "one")
    with faulty(target.reader, fault) as fired, pytest.raises(MigrationError, match="cannot be taken"), lock.held():
        pytest.fail("there is no lock")
    assert fired.fired


def test_no_user_can_have_the_key_of_the_lock() -> None:
    with pytest.raises(Forbidden):
        require_owner(LOCK_ID)


def test_a_work_folder_is_for_one_process(tmp_path: Path) -> None:
    folder = WorkFolder(tmp_path / "work")
    taken = pytest.raises(MigrationError, match="Another process works in")
    with folder.locked(), taken, WorkFolder(folder.root).locked():
        pytest.fail("both have the folder")
    with folder.locked():
        assert folder.root.stat().st_mode & 0o777 == 0o700


def test_a_work_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(MigrationError, match="--work"), WorkFolder(tmp_path / "file" / "work").locked():
        pytest.fail("there is no folder")
