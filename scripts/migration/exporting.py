"""Rows of the tables as lines of NDJSON: the same rows give the same bytes, in whatever order a table has them."""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from scripts.migration.rules import TARGETS, Table
from scripts.migration.target import Target
from shared.database import conditions
from shared.database.attributes import Row, from_item, to_item
from shared.database.pages import query_pages
from shared.database.repository import completed
from shared.database.writes import BOOKKEEPING
from shared.models import json_text
from shared.models.fields import timestamp
from shared.models.vector import Vector

_DERIVED = frozenset({"owner_model", "vector_dimension", "expires_at"})
_KNOWN: dict[Table, frozenset[str]] = {table: frozenset({"user_id", *fields}) for table, fields in TARGETS.items()}
"""What migrate.py can bring back."""

_TIMES = ("created_at", "updated_at")
_ORDER: dict[Table, tuple[str, ...]] = {
    "users": ("user_id",),
    "reports": ("user_id", "created_at", "id"),
    "embeddings": ("user_id", "model_version", "product_id"),
}
_LINES = "CREATE TABLE lines (a TEXT, b TEXT, c TEXT, line TEXT, PRIMARY KEY (a, b, c)) WITHOUT ROWID"


@dataclass(slots=True)
class Exported:
    """How many lines were written, and how many rows have which attributes that K9 does not know."""

    rows: int = 0
    unknown: Counter[str] = field(default_factory=Counter)


def all_rows(target: Target, table: Table, **narrowed: Any) -> Iterator[Row]:
    """Every row of a table, or those that a filter lets through, strongly consistent, page by page."""
    position: dict[str, Any] = narrowed
    while True:
        page: Any = target.reader.client.scan(TableName=target.tables[table], ConsistentRead=True, **position)
        yield from (from_item(item) for item in page["Items"])
        if "LastEvaluatedKey" not in page:
            return
        position = {**narrowed, "ExclusiveStartKey": page["LastEvaluatedKey"]}


def rows_of(target: Target, table: Table, user_id: str) -> Iterator[Row]:
    """Every row of one user. Reports come from an index, which lags behind by a moment.

    The index of embeddings is by model version, and a profile that was deleted names none: the table is read whole.
    """
    if table == "users":
        yield from filter(None, [_profile(target, user_id)])
    elif table == "reports":
        yield from _query(target, table, "UserReportsIndex", "user_id", user_id)
    else:
        yield from all_rows(
            target,
            table,
            FilterExpression="begins_with(#owner, :owner)",
            ExpressionAttributeNames={"#owner": "owner_model"},
            ExpressionAttributeValues=to_item({":owner": f"{user_id}#"}),
        )


def export_rows(table: Table, rows: Iterable[Row], path: Path) -> Exported:
    """Write the rows that are data, in order. A file that is there is replaced once the new one is whole."""
    spool = path.with_name(f"{path.name}.spool")
    partial = path.with_name(f"{path.name}.partial")
    for stale in (spool, partial):
        stale.unlink(missing_ok=True)
        stale.touch(mode=0o600)
    with closing(sqlite3.connect(spool, isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")
        connection.execute(_LINES)
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            done = Exported(unknown=_fill(connection, table, rows))
            for (line,) in connection.execute("SELECT line FROM lines ORDER BY a, b, c"):
                file.write(f"{line}\n")
                done.rows += 1
    partial.replace(path)
    spool.unlink()
    return done


def document_of(table: Table, row: Row) -> dict[str, Any]:
    """What a user sees of a row, its vector as numbers."""
    document = {name: value for name, value in completed(row).items() if name in _KNOWN[table]}
    for name in _TIMES:
        document[name] = _normal_time(document[name])
    if table == "embeddings":
        document |= _embedding_parts(row)
    elif table == "reports":
        missing = {"author": "", "date": document["created_at"][:10], "reference": None}
        document = {**missing, **document, "favorites": sorted(row.get("favorites", ()))}
    ordered: dict[str, Any] = _ordered(document)
    return ordered


def _fill(connection: sqlite3.Connection, table: Table, rows: Iterable[Row]) -> Counter[str]:
    unknown: Counter[str] = Counter()
    connection.execute("BEGIN")
    for row in rows:
        if _is_data(row):
            document = document_of(table, row)
            key = [str(document.get(name, "")) for name in _ORDER[table]]
            values = (*key, *[""] * (3 - len(key)), json_text.dumps(document))
            connection.execute("INSERT OR REPLACE INTO lines VALUES (?, ?, ?, ?)", values)
            unknown.update(row.keys() - _KNOWN[table] - _DERIVED - BOOKKEEPING)
    connection.execute("COMMIT")
    return unknown


def _is_data(row: Row) -> bool:
    """Neither the tombstone of a deleted row, nor the lock of a migration."""
    return "deleted_at" not in row and not str(row.get("user_id", "")).startswith("#")


def _embedding_parts(row: Row) -> dict[str, Any]:
    user_id, _, model_version = row["owner_model"].partition("#")
    stored = row.get("embedding_vector")
    vector: Any = stored
    if isinstance(stored, bytes) and len(stored) % 4 == 0 and Vector(stored).is_finite:
        vector = Vector(stored).tolist()
    elif isinstance(stored, bytes):
        vector = stored.hex()
    return {"user_id": user_id, "model_version": model_version, "embedding_vector": vector}


def _normal_time(text: str) -> str:
    try:
        return timestamp(datetime.fromisoformat(text))
    except ValueError:
        return text


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _ordered(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_ordered(member) for member in value]
    return sorted(value) if isinstance(value, set) else value


def _profile(target: Target, user_id: str) -> Row | None:
    answer = target.reader.call(
        "get_item", TableName=target.tables["users"], Key=to_item({"user_id": user_id}), ConsistentRead=True
    )
    return from_item(answer["Item"]) if "Item" in answer else None


def _query(target: Target, table: Table, index: str, attribute: str, value: str) -> Iterator[Row]:
    partition = conditions.partition(attribute, value)
    pages = query_pages(
        target.reader,
        TableName=target.tables[table],
        IndexName=index,
        KeyConditionExpression=partition.expression,
        ExpressionAttributeNames=partition.names,
        ExpressionAttributeValues=partition.values,
    )
    for page in pages:
        yield from (from_item(item) for item in page["Items"])
