"""Locks end with their holders."""

from pathlib import Path

from scripts.local import locks


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = locks.acquire(path)
    assert lock is not None
    assert locks.acquire(path, patience=0) is None
    lock.close()
    again = locks.acquire(path)
    assert again is not None
    again.close()


def test_the_holder_says_who_it_is(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = locks.acquire(path)
    assert lock is not None
    assert locks.holder(path) == {}
    lock.write({"pid": 12345})
    lock.write({"pid": 7})
    assert locks.holder(path) == {"pid": 7}
    lock.close()


def test_a_note_without_a_holder_means_nothing(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    assert locks.holder(path) is None
    path.write_text('{"pid": 1}', encoding="utf-8")
    assert locks.holder(path) is None


def test_a_note_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text("[1", encoding="utf-8")
    assert locks.read_note(path) == {}
    path.write_text("[1]", encoding="utf-8")
    assert locks.read_note(path) == {}
