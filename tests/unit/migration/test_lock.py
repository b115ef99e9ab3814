"""One runner at a time, and a run that died lets itself in again at once."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from scripts.migration import lock as module
from scripts.migration.failure import MigrationError
from scripts.migration.lock import CLOCK_SKEW_SECONDS, LEASE_SECONDS, LOCK_ID, MARGIN_SECONDS, TargetLock
from scripts.migration.target import Target
from scripts.migration.work import WorkFolder
from shared.database.conditions import Condition
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


def lock(target: Target, holder: str, clock: Clock, nonce: str | None = None) -> TargetLock:
    return TargetLock(target.reader, holder, clock, clock, nonce)


def renewals_end() -> None:
    for thread in threading.enumerate():
        if thread.name == "lease":
            thread.join(5)


def test_another_run_waits_for_the_lease_of_one_that_died(target: Target) -> None:
    clock = Clock()
    lock(target, "one", clock)._take()
    clock.now += LEASE_SECONDS - 1
    with pytest.raises(MigrationError, match="gives way within"), lock(target, "two", clock).held():
        pytest.fail("both have the lock")
    clock.now += 2
    with lock(target, "two", clock).held():
        assert holders(target) == ["two"]


def test_a_run_that_died_goes_on_at_once_on_its_machine(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with monkeypatch.context() as patch:
        patch.setattr(os, "getpid", lambda: ended.pid)
        lock(target, "one", Clock(), "of the process that died")._take()
    with lock(target, "one", Clock()).held() as held:
        held.check()


def test_a_copy_of_the_folder_does_not_get_the_lock_while_the_first_may_live(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    with lock(target, "one", clock, "of another process").held():
        with pytest.raises(MigrationError, match="wait for it to end"), lock(target, "one", clock).held():
            pytest.fail("both have the lock")
        monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
        monkeypatch.setattr(module, "_is_alive", lambda pid: False)
        with pytest.raises(MigrationError, match="wait for it to end"), lock(target, "one", clock).held():
            pytest.fail("both have the lock")


def test_a_lease_that_was_not_renewed_stops_the_writing_a_whole_call_before_it_ends(target: Target) -> None:
    clock = Clock()
    with lock(target, "one", clock).held() as held:
        clock.now += LEASE_SECONDS - MARGIN_SECONDS
        held.check()
        clock.now += 1
        with pytest.raises(MigrationError, match="could not be renewed in time"):
            held.check()


def test_the_margin_is_longer_than_a_call_and_the_clocks_difference(target: Target) -> None:
    config: Any = target.writer.client.meta.config
    assert config.connect_timeout + config.read_timeout + CLOCK_SKEW_SECONDS < MARGIN_SECONDS < LEASE_SECONDS


@pytest.mark.parametrize("stopped", [0, 1])
def test_either_clock_ends_the_lease(stopped: int, target: Target) -> None:
    """A machine that sleeps stops the one, a person who sets it the other."""
    clocks = [Clock(), Clock()]
    with TargetLock(target.reader, "one", clocks[0], clocks[1]).held() as held:
        clocks[1 - stopped].now += LEASE_SECONDS
        with pytest.raises(MigrationError, match="could not be renewed in time"):
            held.check()


def test_the_lease_is_renewed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RENEWAL_SECONDS", 0.01)
    renewed = threading.Event()
    clock = Clock()
    made = lock(target, "one", clock)
    put = made._put

    def counted(condition: Condition) -> None:
        put(condition)
        renewed.set()

    with made.held():
        clock.now += LEASE_SECONDS - MARGIN_SECONDS
        monkeypatch.setattr(made, "_put", counted)
        assert renewed.wait(5)
        clock.now += LEASE_SECONDS - MARGIN_SECONDS
        made.check()


def test_a_lease_that_lapsed_is_never_taken_up_again(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a machine slept: meanwhile another may have come and gone."""
    monkeypatch.setattr(module, "_RENEWAL_SECONDS", 0.01)
    clock = Clock()
    with lock(target, "one", clock).held() as held:
        clock.now += LEASE_SECONDS + 1
        renewals_end()
        assert table_rows(target, "users")[0]["lease_until"] == Clock.now + LEASE_SECONDS
        clock.now = Clock.now
        with pytest.raises(MigrationError, match="could not be renewed in time"):
            held.check()


def test_a_lock_that_another_had_meanwhile_is_not_renewed(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    later = Clock()
    later.now += LEASE_SECONDS + 1
    monkeypatch.setattr(module, "_RENEWAL_SECONDS", 0.01)
    with lock(target, "one", Clock()).held() as held:
        with lock(target, "two", later).held():
            renewals_end()
        with pytest.raises(MigrationError, match="Another migration has taken the lock"):
            held.check()
        assert holders(target) == []


def test_a_lock_that_another_took_over_stays_theirs(target: Target) -> None:
    later = Clock()
    later.now += LEASE_SECONDS + 1
    with lock(target, "one", Clock()).held():
        lock(target, "one", later, "of a copied folder")._take()
    assert holders(target) == ["one"]


def test_a_table_that_does_not_answer_gives_no_lock(target: Target) -> None:
    fault = answering(400, "AccessDeniedException", message="no")
    made = lock(target, "one", Clock())
    with faulty(target.reader, fault) as fired, pytest.raises(MigrationError, match="cannot be taken"), made.held():
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
