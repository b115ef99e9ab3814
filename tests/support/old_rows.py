"""Rows as K9's older backends kept them, for every kind of source, and what the shipped mappings make of them."""

from collections.abc import Iterator
from typing import Any

from scripts.migration.mapping import load_mapping
from scripts.migration.reading import Contents
from scripts.migration.sources.source import Source, SourceRow

SUB = "11111111-1111-4111-8111-111111111111"
REPORT_ID = "6f1c3f0e-54a5-4ab5-8e3c-0d2b4a1f9c11"

USER: dict[str, Any] = {
    "user_id": SUB,
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "preferences": {"theme": "dark"},
    "created_at": "2023-05-06 07:08:09.123456",
}
REPORT: dict[str, Any] = {
    "id": REPORT_ID,
    "user_id": SUB,
    "title": "Käse 🧀",
    "author": "",
    "date": "2024-02-29",
    "reference": {"id": "p1", "price": 12.5},
    "favorites": ["p3", "p2"],
    "created_at": "2024-03-01T10:00:00+02:00",
    "updated_at": "2024-03-02 08:00:00",
}
EMBEDDING: dict[str, Any] = {
    "product_id": "p1",
    "user_id": SUB,
    "model_version": "pets-1",
    "embedding": [0.5, -1.25, 3.0],
    "product": {"name": "Ball"},
    "created_at": "2024-03-01T10:00:00Z",
}


def migrated(source: Source, mapping: str) -> dict[str, dict[str, Any]]:
    """The items that a shipped mapping makes of a source with the three rows above, by their tables."""
    return {item.table: item.attributes for item in _items(source, mapping)}


def _items(source: Source, mapping: str) -> Iterator[Any]:
    contents = Contents(source, load_mapping(mapping))
    for name, transformer in contents.transformers.items():
        for row in contents.rows(name):
            assert isinstance(row, SourceRow)
            yield transformer.transform(row)


def assert_arrived(items: dict[str, dict[str, Any]], report_id: str = REPORT_ID) -> None:
    user, report, embedding = items["users"], items["reports"], items["embeddings"]
    assert user["user_id"] == report["user_id"] == embedding["user_id"] == SUB
    assert (user["name"], user["email"], user["preferences"]) == ("Ada Lovelace", "ada@example.com", {"theme": "dark"})
    assert (user["created_at"], user["updated_at"]) == ("2023-05-06T07:08:09.123456Z",) * 2
    assert (report["id"], report["title"], report["author"], report["date"]) == (report_id, "Käse 🧀", "", "2024-02-29")
    assert (report["reference"], report["favorites"]) == ({"id": "p1", "price": 12.5}, {"p2", "p3"})
    assert (report["created_at"], report["updated_at"]) == (
        "2024-03-01T08:00:00.000000Z",
        "2024-03-02T08:00:00.000000Z",
    )
    assert (embedding["product_id"], embedding["model_version"]) == ("p1", "pets-1")
    assert embedding["embedding_vector"] == b"\x00\x00\x00?\x00\x00\xa0\xbf\x00\x00@@"
    assert embedding["product"] == {"name": "Ball"}
    assert embedding["created_at"] == "2024-03-01T10:00:00.000000Z"
