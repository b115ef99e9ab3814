"""The saved state: what is refused, what is kept."""

import os
from pathlib import Path

import pytest

from scripts.local import state
from scripts.local.folder import LocalFolder

GOOD = '{"__ministack_format__": 2, "payload": {}}'


@pytest.fixture
def folder(tmp_path: Path) -> LocalFolder:
    made = LocalFolder(tmp_path / "local")
    made.create()
    return made


def save(folder: LocalFolder, content: str = GOOD, name: str = "dynamodb.json") -> Path:
    folder.state.mkdir(exist_ok=True)
    path = folder.state / name
    path.write_text(content, encoding="utf-8")
    return path


def test_no_state_is_fine(folder: LocalFolder) -> None:
    state.check(folder)


def test_a_saved_state_is_fine(folder: LocalFolder) -> None:
    save(folder)
    state.check(folder)


@pytest.mark.parametrize("content", ["", GOOD[:-1], "[]", "{}", '{"__ministack_format__": 2}', "null", "nonsense"])
def test_what_the_store_did_not_write_is_refused(folder: LocalFolder, content: str) -> None:
    path = save(folder, content)
    with pytest.raises(state.StateError) as refusal:
        state.check(folder)
    assert str(path) in str(refusal.value)
    assert "--reset" in str(refusal.value)
    assert path.read_text(encoding="utf-8") == content


def test_bytes_that_are_no_text_are_refused(folder: LocalFolder) -> None:
    save(folder).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(state.StateError, match="it is not text"):
        state.check(folder)


def test_a_state_without_rights_is_refused(folder: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(folder)
    monkeypatch.setattr(os, "access", lambda place, mode: place != path)
    with pytest.raises(state.StateError, match=r"dynamodb\.json: it cannot be read and written"):
        state.check(folder)


def test_the_refusal_names_the_last_good_copy(folder: LocalFolder) -> None:
    save(folder)
    state.keep_copy(folder)
    save(folder, "broken")
    with pytest.raises(state.StateError, match=f"move it to {folder.state}"):
        state.check(folder)


def test_the_copy_follows_the_state(folder: LocalFolder) -> None:
    save(folder)
    state.keep_copy(folder)
    save(folder, GOOD.replace("{}", '{"a": 1}'))
    state.keep_copy(folder)
    assert '"a"' in (folder.previous / "dynamodb.json").read_text(encoding="utf-8")
    assert sorted(path.name for path in folder.root.iterdir()) == ["state", "state.previous", "tmp", "tokens"]


def test_an_empty_state_does_not_replace_the_copy(folder: LocalFolder) -> None:
    save(folder)
    state.keep_copy(folder)
    (folder.state / "dynamodb.json").unlink()
    state.keep_copy(folder)
    assert (folder.previous / "dynamodb.json").exists()


def test_a_reset_can_be_undone(folder: LocalFolder) -> None:
    save(folder)
    state.discard(folder)
    assert not folder.state.exists()
    assert (folder.previous / "dynamodb.json").read_text(encoding="utf-8") == GOOD


def test_a_reset_of_a_broken_state_spares_the_good_copy(folder: LocalFolder) -> None:
    save(folder)
    state.keep_copy(folder)
    save(folder, "broken")
    state.discard(folder)
    assert not folder.state.exists()
    assert (folder.previous / "dynamodb.json").read_text(encoding="utf-8") == GOOD


def test_a_reset_of_nothing_is_fine(folder: LocalFolder) -> None:
    state.discard(folder)


def test_stale_files_are_named(folder: LocalFolder) -> None:
    os.utime(save(folder), (100, 100))
    os.utime(save(folder, name="s3.json"), (300, 300))
    assert state.stale(folder, ("dynamodb", "s3", "cognito"), 200) == ["dynamodb"]
