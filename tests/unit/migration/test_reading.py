"""The first reading judges every row; the later ones give what it accepted, or notice that the source has changed."""

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from scripts.migration.failure import MigrationError
from scripts.migration.journal import Journal
from scripts.migration.reading import Contents, LaterReading, digest_source
from shared.database.model_versions import MAX_MODEL_VERSIONS
from tests.support.migrating import CREATED, MAPPING, ListSource, Migration, mapping, note, vector
from tests.unit.migration.conftest import Rows

Making = Callable[[Rows], Migration]
WITH_MODELS = MAPPING.replace("preferences: preferences,", "models: models,")


def rejects(migration: Migration) -> list[tuple[str, str]]:
    lines = migration.folder.rejects.read_text(encoding="utf-8").splitlines()
    return [(line["position"], line["code"]) for line in map(json.loads, lines)]


def reasons(migration: Migration) -> list[str]:
    lines = migration.folder.rejects.read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["reason"] for line in lines]


def model_versions(migration: Migration) -> list[tuple[str, int]]:
    with closing(Journal(migration.folder.journal)) as journal:
        return [(model.model_version, model.dimension) for model in journal.models()]


def accepted(migration: Migration, rows: Rows | None = None, text: str = MAPPING) -> list[str]:
    """What a later reading gives, of these rows and by this mapping instead of those of the first reading."""
    contents = Contents(ListSource(rows or migration.rows), mapping(text))
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
    assert reasons(made) == ["has 1 components; the vectors of m-1 have 2, as the first one has, vectors:1"]
    assert accepted(made) == ["p1 user-1#m-1", "p3 user-2#m-1", "p4 user-1#m-2"]


def test_an_owner_has_no_more_model_versions_than_the_api_allows(migration: Making) -> None:
    made = migration({"vectors": [vector(1, model=f"m-{n}") for n in range(MAX_MODEL_VERSIONS + 2)]})
    assert made.read().accepted["embeddings"] == MAX_MODEL_VERSIONS
    assert {code for _, code in rejects(made)} == {"too-many-model-versions"}
    assert len(accepted(made)) == MAX_MODEL_VERSIONS


def person(name: str = "Ann", **models: object) -> dict[str, object]:
    return {"sub": "user-1", "name": name, "created": CREATED, "models": models}


def test_a_rejected_row_leaves_no_model_versions_behind(migration: Making) -> None:
    one = {"dimension": 2}
    bad, good, other, again = person(a=one, b={}), person(c=one), person("Bob", d=one), person(e=one)
    made = migration({"people": [bad, good, other, again]})
    made.mapping = mapping(WITH_MODELS)
    made.read()
    assert rejects(made) == [("people:1", "bad-value"), ("people:3", "duplicate-key")]
    assert model_versions(made) == [("c", 2), ("e", 2)]


def test_a_dimension_that_the_owners_row_states_counts_before_any_vector(migration: Making) -> None:
    made = migration({"people": [person("Ann", **{"m-1": {"dimension": 3}})], "vectors": [vector(1)]})
    made.mapping = mapping(WITH_MODELS)
    made.read()
    assert reasons(made) == ["has 2 components; the vectors of m-1 have 3, as the row of their owner says"]


@pytest.mark.parametrize("field", ["created", "updated"])
def test_a_time_that_is_still_to_come_is_a_reject(field: str, migration: Making) -> None:
    now = datetime.now(UTC)
    soon, late = ((now + timedelta(hours=hours)).isoformat() for hours in (23, 25))
    made = migration({"notes": [note(1, created=soon, updated=soon), note(2, updated=soon) | {field: late}]})
    made.read()
    assert rejects(made) == [("notes:2", "bad-time")]
    assert accepted(made) == ["note-1"]


def test_where_nothing_can_be_accepted_it_says_what_was_found(migration: Making) -> None:
    with pytest.raises(MigrationError, match=r"nothing to migrate. Read were 2 rows of notes; rejects: 2 bad-value"):
        migration({"notes": [note(1, title=""), note(2, title="")]}).read()
    with pytest.raises(MigrationError, match="Read were 0 rows"):
        migration({"notes": []}).read()


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


def test_a_row_that_a_later_reading_judges_differently_is_noticed(migration: Making) -> None:
    made = migration({"notes": [note(1, author="Ann"), note(2)]})
    made.read()
    assert accepted(made) == ["note-1", "note-2"]
    with pytest.raises(MigrationError, match=r"\(notes:1\)"):
        accepted(
            made,
            text=mapping_text("    fields:\n      id", "    ignore: author\n    fields:\n      id").replace(
                "author: author", "author: {value: Bob}"
            ),
        )
    with pytest.raises(MigrationError, match="notes, of which 1 rows are as they were"):
        accepted(made, text=MAPPING.replace("      author: author\n", ""))


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
    return MAPPING.replace(old, new)
