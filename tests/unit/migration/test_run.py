"""Writing into tables: what arrives, what stays as somebody left it, and that a second run writes nothing."""

import contextlib
import json
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest

from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal, Outcome
from scripts.migration.lock import LOCK_ID, TargetLock
from scripts.migration.run import Pace
from scripts.migration.target import Target
from scripts.migration.target_rows import CREATED_BY
from scripts.migration.work import WorkFolder
from scripts.migration.writer import Acknowledgements
from shared.config import Settings
from shared.database import (
    DBReport,
    DBUser,
    EmbeddingRepository,
    ModelVersionRepository,
    ReportRepository,
    UserRepository,
)
from shared.errors import TooManyRequests
from shared.models.embedding import DBProductEmbedding
from shared.models.vector import Vector
from tests.support.environment import function_environment
from tests.support.faults import requests_sent
from tests.support.migrating import CREATED, Migration, note, table_rows, tables_digest, vector
from tests.support.tables import create_tables
from tests.unit.migration.conftest import Rows

Making = Callable[[Rows], Migration]

PERSON = {"sub": "user-1", "name": "Ann", "email": "a@b.c", "preferences": {"x": 1}, "created": CREATED}
ROWS: Rows = {
    "people": [PERSON],
    "notes": [note(n, sub=f"user-{n % 3}") for n in range(60)],
    "vectors": [vector(n, sub=f"user-{n % 3}", model=f"m-{n % 2}") for n in range(1, 61)],
}
WRITES = {"PutItem", "BatchWriteItem", "UpdateItem", "DeleteItem"}


@pytest.mark.parametrize("batches", [True, False])
def test_everything_arrives(batches: bool, migration: Making, target: Target) -> None:
    made = migration(ROWS)
    made.pace = Pace(threads=4, batches=batches)
    assert made.apply() == {"WRITTEN": 121}
    assert [len(table_rows(target, table)) for table in ("users", "reports", "embeddings")] == [3, 60, 60]
    assert ReportRepository.count_reports("user-1") == 20
    assert len(list(EmbeddingRepository.get_embeddings_by_model("user-1", "m-0"))) == 10


def test_both_ways_of_writing_make_the_same_rows(migration: Making, target: Target) -> None:
    made = migration(ROWS)
    made.apply()
    batched = tables_digest(target)
    for table in target.tables.values():
        for row in target.reader.client.scan(TableName=table)["Items"]:
            names = {"k9-users-test": ["user_id"], "k9-reports-test": ["id"]}.get(table, ["product_id", "owner_model"])
            target.reader.client.delete_item(TableName=table, Key={name: row[name] for name in names})
    made.pace = Pace(threads=4, batches=False)
    made.apply()
    assert tables_digest(target) == batched


def test_a_second_run_writes_nothing_but_its_lock(migration: Making, target: Target) -> None:
    migration(ROWS).apply()
    before = tables_digest(target)
    with requests_sent(target.writer, target.reader) as sent:
        assert migration(ROWS).apply() == {"PRESENT": 121}
    writes = [(name, parameters) for name, parameters in sent if name in WRITES]
    assert [name for name, _ in writes] == ["PutItem", "DeleteItem"]
    assert all("#migration" in json.dumps(parameters, default=str) for _, parameters in writes)
    assert tables_digest(target) == before


def test_every_owner_with_embeddings_gets_a_row_that_knows_the_model_versions(migration: Making) -> None:
    migration(ROWS).apply()
    assert ModelVersionRepository.list_model_versions("user-1") == {"m-0": 2, "m-1": 2}
    assert ModelVersionRepository.list_model_versions("user-2") == {"m-0": 2, "m-1": 2}
    assert UserRepository.get_user("user-1").name == "Ann"
    made = UserRepository.get_user("user-2")
    assert (made.name, made.created_at[:10], made.version) == (None, "2021-03-04", 1)


def test_a_user_who_is_there_already_keeps_their_row_and_gets_the_model_versions(migration: Making) -> None:
    UserRepository.create_user(DBUser(user_id="user-1", name="New name"))
    outcomes = migration(ROWS).apply()
    assert outcomes == {"WRITTEN": 120, "KEPT": 1}
    assert UserRepository.get_user("user-1").name == "New name"
    assert ModelVersionRepository.list_model_versions("user-1") == {"m-0": 2, "m-1": 2}


def test_model_versions_that_a_user_has_made_themselves_stay(migration: Making) -> None:
    own = DBProductEmbedding(product_id="x", user_id="user-1", model_version="own", embedding_vector=Vector.of([1.0]))
    EmbeddingRepository.store_embedding(own)
    migration(ROWS).apply()
    assert ModelVersionRepository.list_model_versions("user-1") == {"m-0": 2, "m-1": 2, "own": 1}


def test_what_a_user_changed_or_deleted_since_stays_so(migration: Making) -> None:
    migration(ROWS).apply()
    ReportRepository.update_report("note-1", "user-1", {"title": "Mine"})
    EmbeddingRepository.update_product("p1", "user-1", "m-1", {"mine": True})
    EmbeddingRepository.delete_embedding("p7", "user-1", "m-1")
    UserRepository.update_user("user-1", {"name": "Mine"})
    assert migration(ROWS).apply() == {"PRESENT": 117, "KEPT": 4}
    assert ReportRepository.get_report("note-1", "user-1").title == "Mine"
    assert EmbeddingRepository.get_embedding("p1", "user-1", "m-1").product == {"mine": True}
    assert "p7" not in {row.product_id for row in EmbeddingRepository.get_embeddings_by_model("user-1", "m-1")}
    assert UserRepository.get_user("user-1").name == "Mine"


def test_what_a_user_deleted_since_stays_deleted_though_a_report_leaves_no_trace(
    migration: Making, target: Target
) -> None:
    migration(ROWS).apply()
    ReportRepository.delete_report("note-1", "user-1")
    for _ in range(2):  # the second run knows it from the first, the third from both
        assert migration(ROWS).apply() == {"PRESENT": 120, "KEPT": 1}
        assert len(table_rows(target, "reports")) == 59


def test_rows_are_written_anew_into_tables_that_have_been_emptied(migration: Making, target: Target) -> None:
    migration({"notes": ROWS["notes"]}).apply()
    for number in range(60):
        ReportRepository.delete_report(f"note-{number}", f"user-{number % 3}")
    assert migration({"notes": ROWS["notes"]}).apply() == {"WRITTEN": 60}


def test_so_they_are_by_a_run_that_was_interrupted_and_resumed(migration: Making, target: Target) -> None:
    made = migration({"notes": ROWS["notes"]})
    made.apply()
    for number in range(60):
        ReportRepository.delete_report(f"note-{number}", f"user-{number % 3}")
    made.read()
    with closing(Journal(made.folder.journal)) as journal:
        journal.put(phase="writing", refilled="reports embeddings")
    assert made.write(resumed=True) == {"WRITTEN": 60}


def test_what_was_written_elsewhere_says_nothing_of_these_tables(migration: Making, target: Target) -> None:
    migration(ROWS).apply()
    elsewhere = fresh_target()
    ReportRepository(elsewhere.reader).create_report(DBReport(user_id="user-9", title="Not empty"))
    assert Migration(migration(ROWS).folder, elsewhere, ROWS).apply() == {"WRITTEN": 121}


def test_a_better_mapping_replaces_what_nobody_has_touched(migration: Making) -> None:
    migration(ROWS).apply()
    ReportRepository.update_report("note-1", "user-1", {"title": "Mine"})
    better: Rows = {**ROWS, "people": [{**PERSON, "name": "Anne"}],
                    "notes": [note(n, sub=f"user-{n % 3}", author="Ann") for n in range(60)]}  # fmt: skip
    assert migration(better).apply() == {"PRESENT": 60, "REPLACED": 60, "KEPT": 1}
    assert ReportRepository.get_report("note-1", "user-1").author == ""
    assert ReportRepository.get_report("note-4", "user-1").author == "Ann"
    assert UserRepository.get_user("user-1").name == "Anne"
    assert ModelVersionRepository.list_model_versions("user-1") == {"m-0": 2, "m-1": 2}


def test_another_old_backend_under_the_same_mapping_overwrites_nothing(
    migration: Making, target: Target, tmp_path: Path
) -> None:
    migration({"notes": [note(1), note(2)]}).apply()
    before = tables_digest(target)
    other = Migration(WorkFolder(tmp_path / "other"), target, {"notes": [note(1, title="Of the other"), note(2)]})
    other.folder.root.mkdir()
    for _ in range(2):  # nor when it has found them before
        assert other.apply() == {"KEPT": 1, "PRESENT": 1}
    other.rows = {"notes": [note(1), note(2, title="Changed")]}
    assert other.apply() == {"PRESENT": 1, "KEPT": 1}
    assert tables_digest(target) == before


def test_an_older_export_after_a_newer_one_puts_nothing_back(migration: Making, target: Target) -> None:
    old, new = "2022-01-01T00:00:00Z", "2022-01-02T00:00:00Z"
    migration({"notes": [note(1, title="New", updated=new), note(2, updated=old)]}).apply()
    assert migration({"notes": [note(1, title="Old", updated=old), note(2, title="New", updated=new)]}).apply() == {
        "KEPT": 1,
        "REPLACED": 1,
    }
    assert {row["title"] for row in table_rows(target, "reports")} == {"New"}


def test_an_owner_who_deleted_everything_stays_deleted(migration: Making, target: Target) -> None:
    rows: Rows = {"vectors": [vector(1), vector(2, sub="user-2")]}
    migration(rows).apply()
    EmbeddingRepository.delete_embedding("p1", "user-1", "m-1")
    delete_user(target, "user-1")
    assert migration(rows).apply() == {"KEPT": 1, "PRESENT": 1}
    assert {row["user_id"] for row in table_rows(target, "users")} == {"user-2"}


def test_an_owner_whose_row_is_gone_gets_one_for_what_is_there_or_new(migration: Making, target: Target) -> None:
    migration({"vectors": [vector(1), vector(2, sub="user-2")]}).apply()
    for owner in ("user-1", "user-2"):
        delete_user(target, owner)
    rows: Rows = {"vectors": [vector(1), vector(2, sub="user-2"), vector(3, sub="user-2", model="m-2")]}
    assert migration(rows).apply() == {"PRESENT": 2, "WRITTEN": 1}
    assert ModelVersionRepository.list_model_versions("user-1") == {"m-1": 2}
    assert ModelVersionRepository.list_model_versions("user-2") == {"m-1": 2, "m-2": 2}


def delete_user(target: Target, user_id: str) -> None:
    target.reader.client.delete_item(TableName=target.tables["users"], Key={"user_id": {"S": user_id}})
    target.reader.settled.clear()


def test_a_user_who_comes_later_fills_the_row_that_their_embeddings_made(migration: Making) -> None:
    migration({"vectors": [vector(1)]}).apply()
    later = "2022-05-06T07:08:09Z"
    assert migration({"vectors": [vector(1)], "people": [{**PERSON, "created": later}]}).apply() == {
        "PRESENT": 1,
        "REPLACED": 1,
    }
    assert UserRepository.get_user("user-1").name == "Ann"
    assert ModelVersionRepository.list_model_versions("user-1") == {"m-1": 2}


def test_declaring_a_model_version_is_paced_and_tried_again(
    migration: Making, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    UserRepository.create_user(DBUser(user_id="user-1", name="There already"))

    class Throttled(ModelVersionRepository):
        tries = 0

        def declare(self, *arguments: Any) -> None:
            Throttled.tries += 1
            if Throttled.tries == 1:
                raise TooManyRequests
            ModelVersionRepository(target.reader).declare(*arguments)

    monkeypatch.setattr("scripts.migration.registry.ModelVersionRepository", Throttled)
    made = migration({"vectors": [vector(1)]})
    made.apply()
    assert Throttled.tries == 2
    assert ModelVersionRepository.list_model_versions("user-1") == {"m-1": 2}
    assert made.last is not None
    assert made.last.caller.concurrency.throttles == 1
    assert made.last.caller.limit.consumed == 2  # for the entry, and for the vector; moto counts no index


def test_no_model_version_is_declared_without_the_lock(
    migration: Making, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    UserRepository.create_user(DBUser(user_id="user-1", name="There already"))
    made = migration({"vectors": [vector(1)]})
    made.read()

    def lost(self: TargetLock) -> None:
        if table_rows(target, "users"):
            raise MigrationError("the lock is lost")

    monkeypatch.setattr(TargetLock, "check", lost)
    with pytest.raises(MigrationError, match="the lock is lost"):
        made.write()
    assert ModelVersionRepository.list_model_versions("user-1") == {}


def test_the_key_of_another_users_report_is_a_reject_and_their_report_stays(migration: Making, target: Target) -> None:
    ReportRepository.create_report(DBReport(id="note-1", user_id="stranger", title="Theirs"))
    made = migration({"notes": [note(1), note(2)]})
    assert made.apply() == {"WRITTEN": 1, "TAKEN": 1}
    (line,) = map(json.loads, made.folder.rejects.read_text().splitlines())
    assert (line["code"], line["position"]) == ("key-taken", "note-1")
    assert ReportRepository.get_report("note-1", "stranger").title == "Theirs"


def test_a_taken_key_is_in_the_rejects_file_before_it_is_acknowledged(
    migration: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    ReportRepository.create_report(DBReport(id="note-1", user_id="stranger", title="Theirs"))
    made = migration({"notes": [note(1)]})
    put = Acknowledgements.put
    on_disk: list[str] = []

    def noted(self: Acknowledgements, outcomes: list[tuple[int, Outcome]]) -> None:
        on_disk.append(made.folder.rejects.read_text())
        put(self, outcomes)

    monkeypatch.setattr(Acknowledgements, "put", noted)
    assert made.apply() == {"TAKEN": 1}
    assert "key-taken" in on_disk[0]


def test_a_model_version_of_another_dimension_in_the_target_stops_before_the_first_write(
    migration: Making, target: Target
) -> None:
    own = DBProductEmbedding(product_id="x", user_id="user-1", model_version="m-0", embedding_vector=Vector.of([1.0]))
    EmbeddingRepository.store_embedding(own)
    before = tables_digest(target)
    with pytest.raises(MigrationError, match="m-0 with 1 components already; in the source it has 2"):
        migration(ROWS).apply()
    assert tables_digest(target) == before


def test_too_many_model_versions_together_stop_before_the_first_write(migration: Making) -> None:
    for number in range(99):
        ModelVersionRepository.declare("user-1", f"own-{number}", 3)
    with pytest.raises(MigrationError, match="user-1 would have 101 model versions"):
        migration(ROWS).apply()


def test_a_resumed_run_goes_on_where_the_first_stopped(migration: Making, target: Target) -> None:
    made = migration(ROWS)
    made.apply()
    whole = tables_digest(target)
    with requests_sent(target.writer) as sent:
        assert made.write(resumed=True) == {"WRITTEN": 121}
    assert not [name for name, _ in sent if name in WRITES]
    assert tables_digest(target) == whole


def test_the_lock_is_gone_after_a_run(migration: Making, target: Target) -> None:
    migration(ROWS).apply()
    assert LOCK_ID not in {row["user_id"] for row in table_rows(target, "users")}


def test_every_row_is_signed(migration: Making, target: Target) -> None:
    migration(ROWS).apply()
    for table in ("users", "reports", "embeddings"):
        for row in table_rows(target, table):
            assert row[CREATED_BY] == row["write_1"]
            assert row["write_1"].startswith(row["updated_at"])


SMALL: Rows = {
    "people": [PERSON],
    "notes": [note(1), note(2, sub="user-2")],
    "vectors": [vector(1), vector(2, sub="user-2")],
}


class Died(BaseException):
    """The process ended here."""


def dying(target: Target, monkeypatch: pytest.MonkeyPatch, at: int, *, applied: bool) -> list[str]:
    """The `at`-th call ends the run, before it is sent or after it was applied; the calls that were made until then."""
    made: list[str] = []

    def wrap(manager: Any) -> None:
        make = manager.client._make_api_call

        def call(operation: str, parameters: dict[str, Any]) -> Any:
            if len(made) >= at:
                raise Died
            made.append(operation)
            answer = make(operation, parameters) if applied or len(made) < at else None
            if len(made) == at:
                raise Died
            return answer

        monkeypatch.setattr(manager.client, "_make_api_call", call)

    for manager in (target.writer, target.reader):
        wrap(manager)
    return made


@pytest.mark.parametrize(("batches", "applied"), [(True, True), (False, False)])
def test_a_run_that_dies_at_any_call_is_resumed_to_the_same_rows(
    batches: bool, applied: bool, migration: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace = Pace(threads=1, batches=batches)
    undisturbed: str | None = None
    for at in range(1, 100):
        target = fresh_target()
        made = Migration(migration(SMALL).folder, target, SMALL, pace=pace)
        made.read()
        with monkeypatch.context() as patch:
            calls = dying(target, patch, at, applied=applied)
            with contextlib.suppress(Died):
                made.write()
        died = len(calls) >= at
        if died:
            Migration(made.folder, fresh_client(target), SMALL, pace=pace).write(resumed=True)
        rows = tables_digest(target)
        undisturbed = undisturbed or rows
        assert rows == undisturbed, f"after {calls}"
        if not died:
            assert at > 8
            return
    pytest.fail("the run never ended by itself")


def fresh_target() -> Target:
    """Empty tables under names of their own."""
    environment = f"t{uuid.uuid4().hex[:8]}"
    create_tables(boto3.client("dynamodb"), environment)
    variables = {name: value.replace("-test", f"-{environment}") for name, value in function_environment().items()}
    boto3.client("s3").create_bucket(Bucket=variables["SIMILARITY_BUCKET"])
    return Target(Settings(variables), connections=1)


def fresh_client(target: Target) -> Target:
    return Target(target.settings, connections=1)
