"""The rejects file: enough to find a row by, and no secret."""

import json
import threading
from contextlib import closing
from pathlib import Path

import pytest

from scripts.migration.failure import Code, Rejection
from scripts.migration.rejects import Rejects, glimpse


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_reject_has_its_place_its_code_and_a_glimpse(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    with closing(Rejects(path)) as rejects:
        rejects.add("notes", "old.json:3", Rejection(Code.BAD_VALUE, "is a number", "title", "x" * 1_000))
        assert rejects.counts == {"bad-value": 1}
    (line,) = lines(path)
    assert (line["collection"], line["position"], line["code"], line["field"]) == (
        "notes",
        "old.json:3",
        "bad-value",
        "title",
    )
    assert line["value"] == "x" * 40 + "… (1000 characters)"
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("field", ["password", "user.apiKey", "api_key", "Authorization", "reset_token", "email"])
def test_a_value_that_sounds_private_is_not_shown(field: str) -> None:
    assert glimpse(field, "hunter2") == "***"


@pytest.mark.parametrize(
    ("value", "shown"),
    [({"a": 1}, "an object of 1 members"), ([1, 2], "a list of 2"), (b"abc", "3 bytes"), (1.5, "1.5"), ("\ud800", "?")],
)
def test_a_value_is_shown_in_short(value: object, shown: str) -> None:
    assert glimpse("x", value) == shown


def test_a_file_is_written_anew_or_on(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    for resumed in (False, False, True):
        with closing(Rejects(path, resumed=resumed)) as rejects:
            rejects.add("notes", "1", Rejection(Code.KEY_TAKEN, "is taken"))
    assert len(lines(path)) == 2


def test_what_was_flushed_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    with closing(Rejects(path)) as rejects:
        rejects.add("notes", "1", Rejection(Code.KEY_TAKEN, "is taken"))
        assert lines(path) == []
        rejects.flush()
        assert len(lines(path)) == 1


@pytest.mark.parametrize("name", ["pwd", "private_key", "auth", "ssn", "iban", "date_of_birth", "home_address"])
def test_more_names_that_sound_private(name: str) -> None:
    assert glimpse(name, "x") == "***"
    assert glimpse("author", "x") == "x"


def test_several_threads_may_add(tmp_path: Path) -> None:
    path = tmp_path / "rejects.jsonl"
    with closing(Rejects(path)) as rejects:

        def add() -> None:
            for number in range(200):
                rejects.add("notes", str(number), Rejection(Code.BAD_VALUE, "x", "title", "y" * 50))

        threads = [threading.Thread(target=add) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert rejects.total == 800
    assert len(lines(path)) == 800
