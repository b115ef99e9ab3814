"""Items as the tables hold them: what the repositories would have stored, with ids that are the same in every run."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scripts.migration.canonical import row_digest
from scripts.migration.rules import Table
from shared.database.attributes import Item, Row, from_item, to_attribute, to_item
from shared.database.conditions import REGISTER
from shared.database.writes import BOOKKEEPING, WriteId
from shared.models.embedding import DBProductEmbedding
from shared.models.json_value import stored_size
from shared.models.report import DBReport
from shared.models.user import DBUser

MAX_ITEM_BYTES = 400 * 1024
CREATED_BY = "create_write"
KEYS: dict[Table, tuple[str, ...]] = {
    "users": ("user_id",),
    "reports": ("id",),
    "embeddings": ("product_id", "owner_model"),
}
_NAMESPACE = uuid.UUID("6f1d7a52-7d0e-5f0b-9b0e-3c5a4d9e8b17")
_INDEXED = frozenset({"reports", "embeddings"})
_UNIT_BYTES = 1024
REGISTRY = "models"
"""The attribute of a user's row that others than its owner write too; it is compared entry by entry."""


def derived_id(*parts: str) -> str:
    """A UUIDv5 of these texts, unlike that of any others (RFC 9562, section 5.5)."""
    return str(uuid.uuid5(_NAMESPACE, "".join(f"{len(part)}:{part}" for part in parts)))


@dataclass(frozen=True)
class TargetRow:
    """One item to write. `attributes` are those that its readers see; `write` is what this migration signs it with."""

    table: Table
    owner: str
    attributes: Mapping[str, Any]
    write: WriteId

    @property
    def key(self) -> dict[str, str]:
        return {name: self.attributes[name] for name in KEYS[self.table]}

    @cached_property
    def key_bytes(self) -> bytes:
        """What no other item has."""
        return key_bytes(self.table, self.attributes)

    @property
    def partition(self) -> str:
        """Where DynamoDB's index puts it: rows of one share its throughput."""
        return str(self.attributes.get("owner_model", self.owner))

    @property
    def model_version(self) -> str | None:
        return self.attributes.get("model_version")

    @cached_property
    def item(self) -> Item:
        """With the register of writes, as `writes.create` puts it."""
        entry = to_attribute(self._entry)
        return {**self._visible, REGISTER[0]: entry, CREATED_BY: entry}

    @cached_property
    def size(self) -> int:
        """Bytes of the item, by DynamoDB's rules."""
        register = len(REGISTER[0]) + len(CREATED_BY) + 2 * len(self._entry)
        return register + sum(len(name.encode()) + _size(value) for name, value in self.attributes.items())

    @property
    def write_units(self) -> int:
        """Capacity of writing it anew, the index included."""
        return -(-self.size // _UNIT_BYTES) * (2 if self.table in _INDEXED else 1)

    @cached_property
    def digest(self) -> bytes:
        """Of what its readers see, as they will read it."""
        return visible_digest(from_item(self._visible))

    @property
    def _entry(self) -> str:
        return self.write.entry(self.attributes["updated_at"])

    @cached_property
    def _visible(self) -> Item:
        return to_item(self.attributes)


def key_bytes(table: Table, row: Mapping[str, Any]) -> bytes:
    return "\0".join((table, *(row[name] for name in KEYS[table]))).encode()


def visible_digest(row: Row) -> bytes:
    """The digest of a row without what the write path and the model versions keep in it."""
    return row_digest({name: value for name, value in row.items() if name not in BOOKKEEPING and name != REGISTRY})


def _size(value: Any) -> int:
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, set):
        return sum(len(member.encode()) for member in value)
    return stored_size(value)


def report_row(report: DBReport, write: WriteId) -> TargetRow:
    """DynamoDB has no empty set: a report without favourites has no such attribute."""
    attributes = report.model_dump()
    if not attributes["favorites"]:
        del attributes["favorites"]
    return TargetRow("reports", report.user_id, attributes, write)


def user_row(user: DBUser, write: WriteId) -> TargetRow:
    return TargetRow("users", user.user_id, user.model_dump(), write)


def embedding_row(embedding: DBProductEmbedding, write: WriteId) -> TargetRow:
    attributes = {
        "product_id": embedding.product_id,
        "owner_model": f"{embedding.user_id}#{embedding.model_version}",
        "user_id": embedding.user_id,
        "model_version": embedding.model_version,
        "embedding_vector": embedding.embedding_vector.data,
        "vector_dimension": embedding.vector_dimension,
        "product": embedding.product,
        "created_at": embedding.created_at,
        "updated_at": embedding.updated_at,
        "version": embedding.version,
    }
    return TargetRow("embeddings", embedding.user_id, attributes, write)
