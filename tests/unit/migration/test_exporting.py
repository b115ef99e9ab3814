"""Exports: one user's rows alone, and the same bytes after they were imported elsewhere."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from scripts.migration import main as migrate
from scripts.migration.export_main import main as export
from scripts.migration.lock import TargetLock
from scripts.migration.target import Target
from shared.database import (
    DBProductEmbedding,
    DBReport,
    DBUser,
    EmbeddingRepository,
    ReportRepository,
    UserRepository,
)
from shared.models.vector import Vector
from tests.support.migrating import TABLES
from tests.support.tables import create_tables

NUMBERS: dict[str, Any] = {
    "big": 12345678901234567890123456789012345678,
    "small": Decimal("1.5E-100"),
    "float": 0.1,
    "whole": 3.0,
    "zero": Decimal("0.00"),
    "z": [],
    "a": {"b": None, "ü": ["", {"y": 1, "x": True}]},
}


@pytest.fixture
def stored(target: Target) -> None:
    """Two users and the shared catalogue, with rows that were changed and deleted."""
    for user in ("user-1", "user-2"):
        UserRepository.create_user(DBUser(user_id=user, name=f"Näme {user}", preferences={"n": NUMBERS}))
        for number in range(5):
            report = DBReport(id=f"{user}-r{number}", user_id=user, title=f"R{number}", reference=NUMBERS,
                              favorites={"b", "a"} if number else set())  # fmt: skip
            ReportRepository.create_report(report)
        ReportRepository.update_report(f"{user}-r1", user, {"title": "Changed"})
        ReportRepository.delete_report(f"{user}-r2", user)
    for owner in ("user-1", "user-2", "shared"):
        for number in range(1, 6):
            EmbeddingRepository.store_embedding(embedding(owner, number))
        EmbeddingRepository.delete_embedding("p3", owner, "m-1")


def embedding(owner: str, number: int) -> DBProductEmbedding:
    return DBProductEmbedding(
        product_id=f"p{number}",
        user_id=owner,
        model_version="m-1",
        embedding_vector=Vector.of([0.1 * number, 1 / 3]),
        product={"n": NUMBERS},
    )


def contents(folder: Path) -> dict[str, bytes]:
    return {table: (folder / f"{table}.ndjson").read_bytes() for table in TABLES}


def empty_tables(target: Target) -> None:
    for table in target.reader.client.list_tables()["TableNames"]:
        target.reader.client.delete_table(TableName=table)
    create_tables(target.reader.client)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("whose", [["--all"], ["--user", "user-1"]])
def test_export_import_export_gives_the_same_bytes(
    whose: list[str], target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export([*whose, str(tmp_path / "one")]) == 0
    empty_tables(target)
    work = str(tmp_path / "work")
    assert migrate.main(["apply", f"ndjson:{tmp_path}/one", "--mapping", "k9-export", "--work", work]) == 0
    assert export([*whose, str(tmp_path / "two")]) == 0
    first = contents(tmp_path / "one")
    assert first == contents(tmp_path / "two")
    assert all(first.values())
    assert migrate.main(["verify", "--work", work]) == 0


@pytest.mark.usefixtures("stored")
def test_an_export_has_everything_that_is_there_and_no_more(tmp_path: Path) -> None:
    export(["--all", str(tmp_path)])
    lines = {table: content.decode().splitlines() for table, content in contents(tmp_path).items()}
    assert {table: len(found) for table, found in lines.items()} == {"users": 3, "reports": 8, "embeddings": 12}
    assert '"title":"Changed"' in lines["reports"][1]
    assert "write_1" not in "".join(lines["reports"])


@pytest.mark.usefixtures("stored")
def test_a_users_export_has_nothing_of_others(tmp_path: Path) -> None:
    export(["--user", "user-1", str(tmp_path)])
    found = contents(tmp_path)
    assert {table: content.count(b"\n") for table, content in found.items()} == {
        "users": 1,
        "reports": 4,
        "embeddings": 4,
    }
    assert b"user-2" not in b"".join(found.values())
    assert all((tmp_path / f"{table}.ndjson").stat().st_mode & 0o077 == 0 for table in TABLES)


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("again", [True, False])
def test_embeddings_are_found_without_the_profile_that_named_them(again: bool, target: Target, tmp_path: Path) -> None:
    UserRepository.delete_user("user-1")
    if again:
        UserRepository.create_user(DBUser(user_id="user-1"))
    assert export(["--user", "user-1", str(tmp_path)]) == 0
    assert contents(tmp_path)["embeddings"].count(b"\n") == 4


def test_a_user_of_whom_there_is_nothing_is_an_error(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(["--user", "nobody", str(tmp_path)]) == 1
    assert "Nothing of a user nobody" in capsys.readouterr().err


@pytest.mark.usefixtures("stored")
def test_attributes_that_could_not_come_back_are_left_out_and_told(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target.reader.client.update_item(
        TableName=target.tables["reports"],
        Key={"id": {"S": "user-1-r0"}},
        UpdateExpression="SET colour = :colour",
        ExpressionAttributeValues={":colour": {"S": "red"}},
    )
    assert export(["--all", str(tmp_path)]) == 0
    assert "the attribute colour of 1 rows is left out" in capsys.readouterr().err
    assert b"colour" not in contents(tmp_path)["reports"]


def test_the_lock_of_a_migration_is_no_user(target: Target, tmp_path: Path) -> None:
    with TargetLock(target.reader, "run").held():
        export(["--all", str(tmp_path)])
    assert contents(tmp_path)["users"] == b""


def test_a_row_of_another_origin_is_exported_as_far_as_it_goes(target: Target, tmp_path: Path) -> None:
    target.reader.client.put_item(
        TableName=target.tables["reports"],
        Item={
            "id": {"S": "old"},
            "user_id": {"S": "u"},
            "title": {"S": "Old"},
            "created_at": {"S": "2019-01-01T00:00:00"},
        },
    )
    export(["--all", str(tmp_path)])
    line = contents(tmp_path)["reports"].decode()
    assert line == (
        '{"author":"","created_at":"2019-01-01T00:00:00.000000Z","date":"2019-01-01","favorites":[],"id":"old",'
        '"reference":null,"title":"Old","updated_at":"2019-01-01T00:00:00.000000Z","user_id":"u","version":1}\n'
    )


def test_where_nothing_can_be_written_is_told(
    target: Target, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert export(["--all", str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_nothing_is_exported_without_a_word_on_whose(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        export([str(tmp_path)])
    assert ended.value.code == 2
