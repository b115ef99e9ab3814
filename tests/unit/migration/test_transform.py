"""Rows of the source to items: as the repositories would have stored them, or a reject that says why not."""

from decimal import Decimal
from typing import Any

import boto3
import pytest

from scripts.migration.failure import Code, Rejection
from scripts.migration.sources.source import SourceRow
from scripts.migration.target_rows import CREATED_BY, MAX_ITEM_BYTES, TargetRow
from scripts.migration.transform import Transformer
from shared.database import (
    DatabaseManager,
    DBProductEmbedding,
    DBReport,
    DBUser,
    EmbeddingRepository,
    ReportRepository,
    UserRepository,
    WriteId,
)
from shared.models.vector import Vector
from tests.support.migrating import CREATED, MAPPING, mapping, note, vector


def transformer(collection: str, text: str = MAPPING) -> Transformer:
    made = mapping(text)
    return Transformer(collection, made.collections[collection], made)


def transformed(collection: str, values: dict[str, Any], text: str = MAPPING) -> TargetRow:
    return transformer(collection, text).transform(SourceRow("here", values))


def refused(collection: str, values: dict[str, Any], text: str = MAPPING) -> Rejection:
    with pytest.raises(Rejection) as caught:
        transformed(collection, values, text)
    return caught.value


def stored(table: str, key: dict[str, str]) -> dict[str, Any]:
    item: dict[str, Any] = boto3.resource("dynamodb").Table(table).get_item(Key=key)["Item"]
    return {name: value.value if hasattr(value, "value") else value for name, value in item.items()}


def put(manager: DatabaseManager, table: str, row: TargetRow) -> dict[str, Any]:
    manager.call("put_item", TableName=table, Item=row.item)
    return stored(table, row.key)


def test_a_report_is_stored_as_the_repository_stores_it(manager: DatabaseManager) -> None:
    reference = {"id": 1, "n": Decimal("0.1"), "deep": [{"a": None, "b": True}]}
    row = transformed("notes", note(1, author="Ann", reference=reference, favorites=["b", "a"], updated=CREATED))
    migrated = put(manager, manager.settings.reports_table, row)
    ReportRepository.delete_report("note-1", "user-1")
    report = DBReport(id="note-1", user_id="user-1", title="Note 1", author="Ann", date="2021-03-04",
                      reference=reference, favorites={"a", "b"}, created_at=CREATED)  # fmt: skip
    ReportRepository.create_report(report, write=row.write)
    assert stored(manager.settings.reports_table, {"id": "note-1"}) == migrated


def test_a_report_without_favourites_is_too(manager: DatabaseManager) -> None:
    row = transformed("notes", note(1))
    migrated = put(manager, manager.settings.reports_table, row)
    assert "favorites" not in migrated
    assert ReportRepository.get_report("note-1", "user-1").favorites == set()


def test_a_user_is_stored_as_the_repository_stores_it(manager: DatabaseManager) -> None:
    values = {"sub": "user-1", "name": "Ann", "email": "a@b.c", "preferences": {"x": 1}, "created": CREATED}
    row = transformed("people", values)
    migrated = put(manager, manager.settings.users_table, row)
    UserRepository.delete_user("user-1")
    user = DBUser(user_id="user-1", name="Ann", email="a@b.c", preferences={"x": 1}, created_at=CREATED)
    UserRepository.create_user(user, write=row.write)
    assert stored(manager.settings.users_table, {"user_id": "user-1"}) == migrated


def test_an_embedding_is_read_as_one_that_the_repository_stored(manager: DatabaseManager) -> None:
    row = transformed("vectors", vector(7, colour="red"))
    migrated = put(manager, manager.settings.embeddings_table, row)
    read = EmbeddingRepository.get_embedding("p7", "user-1", "m-1")
    assert (read.embedding_vector, read.product) == (Vector.of([1.0, 7.0]), {"price": 7, "colour": "red"})
    assert (read.created_at[:19], read.updated_at[:19]) == ("2021-03-04T05:06:07", "2022-03-04T05:06:07")
    embedding = DBProductEmbedding(product_id="p8", user_id="user-1", model_version="m-1",
                                   embedding_vector=Vector.of([1.0, 7.0]))  # fmt: skip
    EmbeddingRepository.store_embedding(embedding)
    mine = stored(manager.settings.embeddings_table, {"product_id": "p8", "owner_model": "user-1#m-1"})
    registers = {"write_2", "write_3", "write_4"}
    assert migrated.keys() == mine.keys() - registers | {CREATED_BY}
    assert {name: type(value) for name, value in migrated.items() if name != CREATED_BY} == {
        name: type(value) for name, value in mine.items() if name not in registers
    }


def test_a_migrated_row_can_be_changed_like_any_other(manager: DatabaseManager) -> None:
    put(manager, manager.settings.reports_table, transformed("notes", note(1)))
    changed = ReportRepository.update_report("note-1", "user-1", {"title": "New"})
    assert (changed.version, changed.title, changed.created_at[:10]) == (2, "New", "2021-03-04")


def test_an_old_id_stays_where_it_is_valid_and_else_becomes_the_same_uuid_in_every_run() -> None:
    assert transformed("notes", note(1)).key == {"id": "note-1"}
    made = transformed("notes", {**note(1), "id": "x" * 129})
    again = transformed("notes", {**note(1), "id": "x" * 129})
    assert made.key == again.key
    assert len(made.key["id"]) == 36
    unkept = transformed("notes", note(1), MAPPING.replace("keep: true", "keep: false"))
    assert unkept.key["id"] != "note-1"
    elsewhere = transformed("notes", note(1), MAPPING.replace("keep: true", "keep: false").replace("old-k9", "other"))
    assert elsewhere.key["id"] != unkept.key["id"]


def test_key_fields_do_not_run_into_each_other() -> None:
    text = MAPPING.replace("      id: {from: id, keep: true}\n", "").replace(
        "  notes:\n    into: reports\n", "  notes:\n    into: reports\n    key: [a, b]\n"
    )
    first = transformed("notes", {**note(1), "a": "x", "b": "yz"}, text.replace("author: author", "author: id"))
    second = transformed("notes", {**note(1), "a": "xy", "b": "z"}, text.replace("author: author", "author: id"))
    assert first.key != second.key


@pytest.mark.parametrize(
    ("collection", "values", "code", "field"),
    [
        ("notes", note(1, colour="red"), Code.UNKNOWN_FIELD, "colour"),
        ("notes", note(1, title=None), Code.MISSING_FIELD, "title"),
        ("notes", note(1, created=None), Code.MISSING_FIELD, "created"),
        ("notes", note(1, title=""), Code.BAD_VALUE, "title"),
        ("notes", note(1, title="a\x00b"), Code.BAD_VALUE, "title"),
        ("notes", note(1, title="x" * 201), Code.BAD_VALUE, "title"),
        ("notes", note(1, title="\ud800"), Code.BAD_VALUE, "title"),
        ("notes", note(1, created="04.03.2021"), Code.BAD_TIME, "created"),
        ("notes", note(1, sub=None), Code.UNMAPPED_OWNER, "sub"),
        ("notes", note(1, reference={"a": {"b": float("nan")}}), Code.BAD_NUMBER, "reference/a/b"),
        ("notes", note(1, reference={"a": float("-inf")}), Code.BAD_NUMBER, "reference/a"),
        ("notes", note(1, reference={"a": Decimal("NaN")}), Code.BAD_NUMBER, "reference/a"),
        ("notes", note(1, reference={"a": 10**38 + 1}), Code.BAD_NUMBER, "reference/a"),
        ("notes", note(1, reference={"a": "x" * 300_000}), Code.TOO_LARGE, "reference"),
        ("notes", note(1, reference=[1]), Code.BAD_VALUE, "reference"),
        ("notes", note(1, favorites=[""]), Code.BAD_VALUE, "favorites"),
        ("notes", note(1, favorites=[f"p{n}" for n in range(501)]), Code.BAD_VALUE, "favorites"),
        ("notes", {**note(1), "id": None}, Code.MISSING_FIELD, "id"),
        ("vectors", vector(1, vector=[0.0, 0.0]), Code.BAD_VECTOR, "vector"),
        ("vectors", vector(1, vector=[1.0, float("nan")]), Code.BAD_VECTOR, "vector"),
        ("vectors", vector(1, vector=[1e39]), Code.BAD_VECTOR, "vector"),
        ("vectors", vector(1, vector=["1"]), Code.BAD_VECTOR, "vector"),
        ("vectors", vector(1, vector=[]), Code.BAD_VECTOR, "vector"),
        ("vectors", vector(1, vector=[0.1] * 4097), Code.BAD_VECTOR, "vector"),
        ("vectors", vector(1, product=".."), Code.BAD_VALUE, "product"),
        ("vectors", vector(1, product="search"), Code.BAD_VALUE, "product"),
        ("vectors", vector(1, model="a b"), Code.BAD_VALUE, "model"),
        ("vectors", vector(1, sub="a#b"), Code.BAD_OWNER, "sub"),
        ("vectors", vector(1, price={"a": set()}), Code.BAD_VALUE, "product/price/a"),
    ],
)
def test_what_cannot_be_stored_is_a_reject_that_says_where(
    collection: str, values: dict[str, Any], code: Code, field: str
) -> None:
    rejection = refused(collection, values)
    assert (rejection.code, rejection.field) == (code, field)


def test_a_dimension_that_the_source_states_must_be_that_of_the_vector() -> None:
    text = MAPPING.replace("embedding_vector: vector\n", "embedding_vector: vector\n      vector_dimension: size\n")
    assert transformed("vectors", vector(1, size="2"), text).attributes["vector_dimension"] == 2
    assert transformed("vectors", vector(1), text).attributes["vector_dimension"] == 2
    rejection = refused("vectors", vector(1, size=3), text)
    assert (rejection.code, rejection.field) == (Code.BAD_VECTOR, "size")


def test_numbers_of_38_digits_stay_exact(manager: DatabaseManager) -> None:
    exact = {"a": 12345678901234567890123456789012345678, "b": Decimal("0.1234567890123456789012345678901234567")}
    put(manager, manager.settings.reports_table, transformed("notes", note(1, reference=exact)))
    assert ReportRepository.get_report("note-1", "user-1").reference == exact


def test_an_item_above_400_kb_is_a_reject_and_one_just_below_is_not() -> None:
    favorites = [f"{n:04}" + "語" * 235 for n in range(500)]
    fits = note(1, favorites=favorites, reference={"a": "x" * 50_000})
    row = transformed("notes", fits)
    assert MAX_ITEM_BYTES - 10_000 < row.size <= MAX_ITEM_BYTES
    assert refused("notes", {**fits, "reference": {"a": "x" * 60_000}}).code is Code.TOO_LARGE


def test_a_version_below_the_first_is_a_reject() -> None:
    text = MAPPING.replace("author: author", "version: author")
    assert refused("notes", note(1, author=0), text).code is Code.BAD_NUMBER
    assert transformed("notes", note(1, author="3"), text).attributes["version"] == 3


def test_an_object_is_put_together_of_members_and_parts() -> None:
    text = MAPPING.replace(
        "reference: reference", "reference: {members: {id: meta.id, cost: {from: cost, type: number}, gone: gone}}"
    )
    row = transformed("notes", note(1, meta={"id": 7}, cost="1.50", gone=None), text)
    assert row.attributes["reference"] == {"id": 7, "cost": Decimal("1.50"), "gone": None}
    assert refused("notes", note(1, meta={"id": 7, "more": 1}), text).field == "meta.more"


def test_constants_and_defaults_fill_what_the_source_lacks() -> None:
    text = MAPPING.replace("author: author", "author: {value: Import}").replace(
        "title: title", "title: {from: title, default: Untitled}"
    )
    row = transformed("notes", {**note(1), "title": None}, text)
    assert (row.attributes["author"], row.attributes["title"]) == ("Import", "Untitled")


@pytest.mark.parametrize(
    ("rule", "created"),
    [
        ("{from: gone, form: date, default: 2021-03-04}", "2021-03-04T00:00:00.000000Z"),
        ("{from: gone, default: 2021-03-04T05:06:07+02:00}", "2021-03-04T03:06:07.000000Z"),
        ("{from: gone, form: epoch-seconds, default: 1614834367}", "2021-03-04T05:06:07.000000Z"),
        ("{value: 2021-03-04T05:06:07Z}", "2021-03-04T05:06:07.000000Z"),
    ],
)
def test_a_default_is_written_as_the_source_would_write_it(rule: str, created: str) -> None:
    text = MAPPING.replace("author: author", "author: created").replace(
        "created_at: created\n", f"created_at: {rule}\n"
    )
    assert transformed("notes", note(1), text).attributes["created_at"] == created


def test_a_text_that_the_mapping_states_for_a_member_is_that_text() -> None:
    members = "{members: {from: {value: Import}, kind: {from: kind, default: 'null'}, none: {value: null}}}"
    row = transformed("notes", note(1), MAPPING.replace("reference: reference", f"reference: {members}"))
    assert row.attributes["reference"] == {"from": "Import", "kind": "null", "none": None}


def test_an_empty_text_is_missing_only_where_the_mapping_says_so() -> None:
    text = MAPPING.replace("  notes:\n", "  notes:\n    empty: missing\n").replace(
        "title: title", "title: {from: title, default: Untitled}"
    )
    assert transformed("notes", note(1, title=""), text).attributes["title"] == "Untitled"
    assert refused("notes", note(1, title="")).code is Code.BAD_VALUE


def test_several_fields_that_one_is_made_of_must_agree() -> None:
    text = MAPPING.replace("title: title", "title: [headline, title]")
    assert transformed("notes", note(1, headline=None), text).attributes["title"] == "Note 1"
    assert transformed("notes", note(1, headline="Note 1"), text).attributes["title"] == "Note 1"
    rejection = refused("notes", note(1, headline="Other"), text)
    assert (rejection.code, rejection.field) == (Code.CONFLICTING_FIELDS, "title")
    first = text.replace("[headline, title]", "{from: [headline, title], may_differ: true}")
    assert transformed("notes", note(1, headline="Other"), first).attributes["title"] == "Other"
    assert refused("notes", note(1, headline=1, title=True), text).code is Code.CONFLICTING_FIELDS


def test_a_null_parent_is_a_missing_value_and_no_unknown_field() -> None:
    text = MAPPING.replace("title: title", "title: {from: meta.title, default: Untitled}").replace(
        "author: author", "author: title"
    )
    assert transformed("notes", note(1, meta=None), text).attributes["title"] == "Untitled"
    assert refused("notes", note(1, meta=3), text).code is Code.UNKNOWN_FIELD


def test_a_key_may_be_within_another_field_and_a_whole_decimal() -> None:
    text = MAPPING.replace("      id: {from: id, keep: true}\n", "").replace(
        "  notes:\n", "  notes:\n    key: [meta.id, id]\n"
    )
    ids = {transformed("notes", note(1, meta={"id": value}), text).key["id"] for value in (7, Decimal("7.0"), "7")}
    assert len(ids) == 1
    assert refused("notes", note(1, meta={}), text).code is Code.MISSING_FIELD
    assert refused("notes", note(1), text).field == "meta.id"


def test_the_write_is_signed_alike_in_every_run() -> None:
    write = transformed("notes", note(1)).write
    assert write == transformed("notes", note(1, title="Other")).write != WriteId()
    assert write != transformed("notes", note(2)).write


def test_an_equal_content_has_an_equal_digest_and_no_other_has() -> None:
    one = transformed("notes", note(1, reference={"a": 1, "b": 2.0}))
    assert one.digest == transformed("notes", note(1, reference={"b": 2, "a": Decimal("1.00")})).digest
    assert one.digest != transformed("notes", note(1, reference={"a": 1, "b": 3})).digest
