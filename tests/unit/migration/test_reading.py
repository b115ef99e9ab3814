"""The first reading judges every row; the later ones give what it accepted, or notice that the source has changed."""

import json
from collections.abc import Callable
from contextlib import closing

import pytest

from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal
from scripts.migration.reading import Contents, LaterReading, digest_source
from shared.database.model_versions import MAX_MODEL_VERSIONS
from tests.support.migrating import ListSource, Migration, mapping, note, vector
from tests.unit.migration.conftest import Rows

Making = Callable[[Rows], Migration]


def rejects(migration: Migration) -> list[tuple[str, str]]:
    lines = migration.folder.rejects.read_text(encoding="utf-8").splitlines()
    return [(line["position"], line["code"]) for line in map(json.loads, lines)]


def accepted(migration: Migration, rows: Rows | None = None) -> list[str]:
    """What a later reading gives, of these rows instead of those that were read first."""
    contents = Contents(ListSource(rows or migration.rows), migration.mapping)
    with closing(Journal(migration.folder.journal)) as journal:
        reading = LaterReading(contents, journal)
        return [" ".join(row.key.values()) for name in contents.users_first for _, row in reading.rows(name)]


def test_every_row_is_accepted_or_a_reject(migration: Making) -> None:
    made = migration({"notes": [note(1), note(2, title=""), "is no JSON", note(3)], "vectors": [vector(1)]})
    findings = made.read()
    assert findings.accepted == {"reports": 2, "embeddings": 1}
    assert findings.source.count == 5
    assert rejects(made) == [("notes:2", "bad-value"), ("notes:3", "unreadable-row")]
    assert accepted(made) == ["note-1", "note-3", "p1 user-1#m-1"]


def test_a_key_that_is_there_twice_is_a_reject_and_an_identical_row_is_counted(migration: Making) -> None:
    made = migration({"notes": [note(1), note(1), note(1, title="Other"), note(2)]})
    findings = made.read()
    assert (findings.accepted["reports"], findings.identical) == (2, 1)
    assert rejects(made) == [("notes:3", "duplicate-key")]
    assert accepted(made) == ["note-1", "note-2"]


def test_the_same_product_of_two_owners_or_models_is_no_duplicate(migration: Making) -> None:
    made = migration({"vectors": [vector(1), vector(1, sub="user-2"), vector(1, model="m-2")]})
    assert made.read().accepted["embeddings"] == 3
    assert rejects(made) == []


def test_the_first_vector_fixes_the_dimension_of_its_owner_and_model(migration: Making) -> None:
    rows = [
        vector(1),
        vector(2, vector=[1.0]),
        vector(3, sub="user-2", vector=[1.0]),
        vector(4, model="m-2", vector=[1.0]),
    ]
    made = migration({"vectors": rows})
    assert made.read().accepted["embeddings"] == 3
    assert rejects(made) == [("vectors:2", "dimension-mismatch")]
    assert accepted(made) == ["p1 user-1#m-1", "p3 user-2#m-1", "p4 user-1#m-2"]


def test_an_owner_has_no_more_model_versions_than_the_api_allows(migration: Making) -> None:
    made = migration({"vectors": [vector(1, model=f"m-{n}") for n in range(MAX_MODEL_VERSIONS + 2)]})
    assert made.read().accepted["embeddings"] == MAX_MODEL_VERSIONS
    assert {code for _, code in rejects(made)} == {"too-many-model-versions"}
    assert len(accepted(made)) == MAX_MODEL_VERSIONS


def test_digests_do_not_depend_on_the_order(migration: Making) -> None:
    first = migration({"notes": [note(n) for n in range(20)]}).read()
    second = migration({"notes": [note(n) for n in reversed(range(20))]}).read()
    assert first.target.hex() == second.target.hex()
    assert first.source.hex() != second.source.hex()  # a row's position is part of it


@pytest.mark.parametrize(
    "changed",
    [
        [note(1), note(2, title="Changed"), note(3)],
        [note(1), note(2), note(4)],
        [note(1), note(2, author="new"), note(3)],
    ],
)
def test_a_row_that_changed_since_the_first_reading_is_noticed(
    changed: list[dict[str, object]], migration: Making
) -> None:
    made = migration({"notes": [note(1), note(2), note(3)]})
    made.read()
    with pytest.raises(MigrationError, match="has changed since it was first read"):
        accepted(made, {"notes": changed})


@pytest.mark.parametrize(
    "changed", [[note(1)], [note(1), note(2), note(3)], [note(2), note(1)], [note(1), note(2, x=1)]]
)
def test_the_digest_of_the_source_tells_any_change(changed: list[dict[str, object]], migration: Making) -> None:
    made = migration({"notes": [note(1), note(2)]})
    found = made.read().source.hex()
    contents = [Contents(ListSource({"notes": rows}), mapping()) for rows in ([note(1), note(2)], changed)]
    assert digest_source(contents[0]).hex() == found
    assert digest_source(contents[1]).hex() != found


def test_owners_and_model_versions_are_counted(migration: Making) -> None:
    rows: Rows = {
        "notes": [note(1), note(2, sub="user-2")],
        "vectors": [vector(1), vector(2, created="2019-01-01T00:00:00Z"), vector(3, sub="user-2")],
    }
    made = migration(rows)
    made.read()
    with closing(Journal(made.folder.journal)) as journal:
        assert list(journal.owner_counts()) == [
            ("user-1", "embeddings", 2),
            ("user-1", "reports", 1),
            ("user-2", "embeddings", 1),
            ("user-2", "reports", 1),
        ]
        (first, _) = journal.models()
    assert (first.dimension, first.rows, first.first_created[:4]) == (2, 2, "2019")


def test_a_mapping_and_a_source_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MigrationError, match="does not say what becomes of the collection cats"):
        Contents(ListSource({"cats": []}), mapping())
    strict = mapping(mapping_text("optional: true", "optional: false"))
    with pytest.raises(MigrationError, match="The source has no collection people, notes, vectors"):
        Contents(ListSource({}), strict)


def mapping_text(old: str, new: str) -> str:
    from tests.support.migrating import MAPPING

    return MAPPING.replace(old, new)
