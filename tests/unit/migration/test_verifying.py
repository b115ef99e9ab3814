"""Verification tells what arrived from what did not, and from what somebody has changed since."""

from collections.abc import Callable
from contextlib import closing

import pytest

from scripts.migration.journal import Journal
from scripts.migration.reading import Contents
from scripts.migration.report import lines, verification_report
from scripts.migration.target import Target
from scripts.migration.verifying import Verification, Verifier
from shared.database import (
    DBReport,
    EmbeddingRepository,
    ReportRepository,
)
from tests.support.migrating import CREATED, ListSource, Migration, note, vector
from tests.unit.migration.conftest import Rows

Making = Callable[[Rows], Migration]
ROWS: Rows = {
    "notes": [note(n, sub=f"user-{n % 2}") for n in range(30)],
    "vectors": [vector(n, sub=f"user-{n % 2}") for n in range(1, 31)],
}


READING = {"rows": 60, "identical_duplicates": 0, "rejects": {}}


def verified(migration: Migration, target: Target) -> Verification:
    contents = Contents(ListSource(migration.rows), migration.mapping)
    with closing(Journal(migration.folder.journal)) as journal:
        return Verifier(contents, journal, target, "old-k9").run()


@pytest.fixture
def done(migration: Making) -> Migration:
    made = migration(ROWS)
    made.apply()
    return made


def test_both_sides_agree_after_a_migration(done: Migration, target: Target) -> None:
    found = verified(done, target)
    assert found.is_right
    assert found.by_state["equal"] == 60
    assert found.source.hex() == found.target.hex()
    assert found.counts["user-1", "reports", "equal"] == 15


def test_what_is_missing_is_told_by_owner(done: Migration, target: Target) -> None:
    ReportRepository.delete_report("note-1", "user-1")
    found = verified(done, target)
    assert not found.is_right
    assert found.counts["user-1", "reports", "missing"] == 1
    assert found.source.hex() != found.target.hex()
    text = "\n".join(
        lines({"verb": "verify", "source": "s", "target": "t", "verification": verification_report(found, READING)})
    )
    assert "59 of 60 rows of the source arrived." in text
    assert "THE SIDES DIFFER" in text
    assert "user-1: embeddings: 15 equal; reports: 14 equal, 1 missing" in text


def test_what_was_changed_or_deleted_since_is_counted_and_no_difference(done: Migration, target: Target) -> None:
    ReportRepository.update_report("note-1", "user-1", {"title": "Mine"})
    EmbeddingRepository.delete_embedding("p1", "user-1", "m-1")
    found = verified(done, target)
    assert found.is_right
    assert (found.by_state["changed since"], found.by_state["deleted since"], found.by_state["equal"]) == (1, 1, 58)


def test_a_row_that_is_not_as_it_was_written_is_a_difference(done: Migration, target: Target) -> None:
    """Whatever changed it did not go the way of the repositories."""
    target.reader.client.update_item(
        TableName=target.tables["reports"],
        Key={"id": {"S": "note-1"}},
        UpdateExpression="SET #author = :author",
        ExpressionAttributeNames={"#author": "author"},
        ExpressionAttributeValues={":author": {"S": "Somebody"}},
    )
    found = verified(done, target)
    assert not found.is_right
    assert found.counts["user-1", "reports", "different"] == 1


def test_what_somebody_else_has_under_a_key_did_not_arrive(migration: Making, target: Target) -> None:
    ReportRepository.create_report(DBReport(id="note-1", user_id="stranger", title="Theirs"))
    ReportRepository.create_report(DBReport(id="note-2", user_id="user-0", title="Their own"))
    made = migration(ROWS)
    made.apply()
    found = verified(made, target)
    assert not found.is_right
    assert (found.by_state["another's key"], found.by_state["another's content"]) == (1, 1)
    assert found.arrived == 58
    assert found.source.hex() != found.target.hex()


def test_a_model_version_that_is_not_declared_is_missed(done: Migration, target: Target) -> None:
    target.reader.client.update_item(
        TableName=target.tables["users"],
        Key={"user_id": {"S": "user-1"}},
        UpdateExpression="REMOVE #models.#model",
        ExpressionAttributeNames={"#models": "models", "#model": "m-1"},
    )
    found = verified(done, target)
    assert found.missing_models == 1
    assert not found.is_right


def test_a_model_version_of_another_dimension_is_a_difference(done: Migration, target: Target) -> None:
    target.reader.client.update_item(
        TableName=target.tables["users"],
        Key={"user_id": {"S": "user-1"}},
        UpdateExpression="SET #models.#model.dimension = :dimension",
        ExpressionAttributeNames={"#models": "models", "#model": "m-1"},
        ExpressionAttributeValues={":dimension": {"N": "3"}},
    )
    found = verified(done, target)
    assert (found.missing_models, found.different_models) == (0, 1)
    assert found.source.hex() != found.target.hex()
    assert not found.is_right


def test_the_model_versions_of_what_an_owner_has_deleted_are_not_missed(done: Migration, target: Target) -> None:
    for number in range(1, 31, 2):
        EmbeddingRepository.delete_embedding(f"p{number}", "user-1", "m-1")
    target.reader.client.delete_item(TableName=target.tables["users"], Key={"user_id": {"S": "user-1"}})
    found = verified(done, target)
    assert found.by_state["deleted since"] == 15
    assert found.is_right


def test_rows_that_the_source_no_longer_has_are_surplus(migration: Making, target: Target) -> None:
    people = [{"sub": "user-0", "name": "A", "created": CREATED}, {"sub": "gone", "name": "B", "created": CREATED}]
    migration({**ROWS, "people": people}).apply()
    ReportRepository.create_report(DBReport(id="made-since", user_id="user-1", title="Mine"))
    EmbeddingRepository.delete_embedding("p2", "user-0", "m-1")
    less = migration({"people": people[:1], "notes": ROWS["notes"][3:], "vectors": ROWS["vectors"][2:]})
    less.read()
    found = verified(less, target)
    assert found.is_right
    assert found.surplus == {
        ("gone", "users"): 1,
        ("user-0", "reports"): 2,
        ("user-1", "reports"): 1,
        ("user-1", "embeddings"): 1,
    }


def test_nothing_migrated_is_all_missing(migration: Making, target: Target) -> None:
    made = migration(ROWS)
    made.read()
    assert verified(made, target).by_state["missing"] == 60
