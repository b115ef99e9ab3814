"""Embeddings: the table's repository. A delete leaves a tombstone, so that whoever reads the index by time sees it."""

import re
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from ..errors import ApiError, Forbidden, OutcomeUnknown
from ..models import json_text
from ..models.embedding import DBProductEmbedding, UpdateProduct
from ..models.fields import TIMESTAMP, now, timestamp
from ..models.json_value import JsonObject
from ..models.user import DBUser
from ..models.vector import MAX_COMPONENT_TEXT, Vector
from . import conditions, writes
from .attributes import Item, Row, from_item, to_attribute, to_item
from .cursors import Position, decode_cursor, encode_cursor
from .index_rows import IndexRow
from .model_versions import ModelVersionRepository, check_dimension
from .pages import PAGE_BYTES, fitting, query_pages, raw_bytes
from .parallel import run_all, values_of
from .repository import EPOCH, Repository, completed, operation
from .writes import Change, Guard, Target, Terms, WriteId

SEND_WITHIN_SECONDS = 5.0
TOMBSTONE_SECONDS = 7 * 24 * 3600
_OWNER = re.compile(r"[A-Za-z0-9][\x21\x22\x24-\x7e]{0,127}")
"""`#` ends the owner in `owner_model`, so that no owner may hold one."""

_EPOCH_YEAR = 1970
_MAX_PAGES, _MOST_ROWS = 20, 500
"""Where tombstones lie in the way, a page of the API takes several of the table, of ever more rows up to so many."""

_BATCH_KEYS = 100
_WHOLE_ROWS = 25
"""Keys of a batch that brings vectors as well: so few that batches are read side by side, in some 4 MB each at most."""

_VECTOR_ATTRIBUTES = ("embedding_vector", "vector_dimension")
_LISTED = (
    "product_id",
    "owner_model",
    "vector_dimension",
    "product",
    "created_at",
    "updated_at",
    "version",
)
_INDEXED = ("product_id", "updated_at", "embedding_vector", "product", "deleted_at")
_KEYS = ("product_id", "updated_at", "deleted_at")
_NOT_SHOWN = frozenset({"owner_model", "expires_at"})
_COMPONENT_BYTES = 4
_MOST_GROWTH = 3
"""Of a row from DynamoDB's JSON to ours: 16 characters are what a component takes at most, and 5.3 in base64."""


@dataclass(frozen=True, slots=True)
class EmbeddingPage:
    """Embeddings of one model version; `next_cursor` is None on the last page."""

    embeddings: list[DBProductEmbedding]
    next_cursor: str | None


class EmbeddingRepository(Repository):
    """The embeddings table: one row for a product of an owner's model version. Its key is made from the owner."""

    kind = "embedding"
    index = "ModelVersionIndex"

    @operation
    def store_embedding(
        self, embedding: DBProductEmbedding, terms: Terms | None = None, *, profile: DBUser | None = None
    ) -> DBProductEmbedding:
        """Store a product's embedding, or replace it; `is_new` tells which it was.

        The first vector of a model version fixes the dimension; `profile` becomes the owner's row where there is none.
        Raises InvalidRequest for another dimension, and as `writes.upsert` does.
        """
        target = self._target(embedding.product_id, embedding.user_id, embedding.model_version)
        given = terms or Terms()
        self._fix_dimension(embedding, target, given, profile)
        row = writes.upsert(self._manager, target, _storing(embedding), given)
        if not writes.is_live(row):
            return _as_it_was(embedding, row, given)
        is_new = row["created_at"] == writes.made_at(row, given.write)
        return _to_embedding(row).model_copy(update={"is_new": is_new})

    @operation
    def store_embeddings(
        self,
        embeddings: Sequence[DBProductEmbedding],
        write: WriteId | None = None,
        *,
        profile: DBUser | None = None,
    ) -> list[DBProductEmbedding | ApiError]:
        """Store many at once, of different keys; the outcome of each, in order. One that fails stops no other.

        Under one `write` each has a write id of its own, so that a repeat of the batch is recognised row by row.
        """
        given = write or WriteId()
        terms = [Terms(_part(given, index)) for index in range(len(embeddings))]
        return run_all(
            [
                partial(self.store_embedding, embedding, term, profile=profile)
                for embedding, term in zip(embeddings, terms, strict=True)
            ]
        )

    @operation
    def get_embedding(self, product_id: str, user_id: str, model_version: str) -> DBProductEmbedding:
        """The owner's embedding of the product. Raises NotFound."""
        target = self._target(product_id, user_id, model_version)
        row = self._read_own(target)
        if not writes.is_live(row):
            raise target.missing()
        return _to_embedding(row)

    @operation
    def get_products(self, product_ids: Sequence[str], user_id: str, model_version: str) -> dict[str, JsonObject]:
        """The metadata of those products that there are, by product id, strongly consistent."""
        keys = _keys(product_ids, user_id, model_version)
        found: dict[str, JsonObject] = {}
        for start in range(0, len(keys), _BATCH_KEYS):
            rows = self._read_batch(keys[start : start + _BATCH_KEYS], (*_KEYS, "product"))
            found |= {row["product_id"]: _product_of(row) for row in rows if writes.is_live(row)}
        return found

    @operation
    def find_embeddings(
        self, product_ids: Sequence[str], user_id: str, model_version: str
    ) -> dict[str, DBProductEmbedding]:
        """Those of the products that there are, by product id, strongly consistent; many are read several at a time."""
        keys = _keys(product_ids, user_id, model_version)
        batches = [keys[start : start + _WHOLE_ROWS] for start in range(0, len(keys), _WHOLE_ROWS)]
        outcomes = run_all([partial(self._find_batch, batch) for batch in batches])
        return {row["product_id"]: _to_embedding(row) for rows in values_of(outcomes) for row in rows}

    @operation
    def update_product(
        self,
        product_id: str,
        user_id: str,
        model_version: str,
        product: UpdateProduct | JsonObject,
        terms: Terms | None = None,
    ) -> DBProductEmbedding:
        """Replace the product's metadata; the vector stays. Raises as `writes.update` does."""
        changes = product if isinstance(product, UpdateProduct) else UpdateProduct(product=product)
        row = self._update(product_id, user_id, model_version, Change(sets={"product": changes.product}), terms)
        if not writes.is_live(row):
            raise OutcomeUnknown  # it was made, and somebody has deleted the product since
        return _to_embedding(row)

    @operation
    def delete_embedding(self, product_id: str, user_id: str, model_version: str, terms: Terms | None = None) -> None:
        """Replace the embedding by a tombstone, which DynamoDB removes after a week. Raises as `writes.update` does."""
        tombstone = {"deleted_at": now(), "expires_at": int(time.time()) + TOMBSTONE_SECONDS}
        change = Change(sets=tombstone, removes=(*_VECTOR_ATTRIBUTES, "product", "created_at"), buries=True)
        self._update(product_id, user_id, model_version, change, terms)

    @operation
    def get_embeddings_by_model(self, user_id: str, model_version: str) -> Iterator[DBProductEmbedding]:
        """Every embedding of the model version, oldest change first, page after page.

        In this order nothing is missed: what changes meanwhile moves ahead, and is given again as it then is.
        """
        for page in self._query(user_id, model_version, condition=conditions.live()):
            yield from (_to_embedding(from_item(item)) for item in page["Items"])

    @operation
    def list_embeddings(
        self,
        user_id: str,
        model_version: str,
        limit: int = 20,
        cursor: str | None = None,
        *,
        newest_first: bool = True,
        include_vectors: bool = True,
    ) -> EmbeddingPage:
        """A page of the model version by the time of the last change: `limit` of them unless it would grow too large.

        A page may hold fewer, even none, and still have a `next_cursor`. Without vectors, those of the page are empty.
        Raises MalformedRequest for a cursor that is not one of ours.
        """
        start = decode_cursor(cursor) if cursor is not None else None
        attributes = (*_LISTED, "embedding_vector") if include_vectors else _LISTED
        rows, stopped_at = self._read_page(user_id, model_version, limit, start, newest_first, attributes)
        if not include_vectors:
            dimension = self._dimension_for(rows, user_id, model_version)
            rows = [{"vector_dimension": dimension, **row} for row in rows]
        return EmbeddingPage([_to_embedding(row) for row in rows], encode_cursor(stopped_at) if stopped_at else None)

    @operation
    def changes_since(self, user_id: str, model_version: str, since: str | None) -> Iterator[list[IndexRow]]:
        """What changed at `since` or later (None: ever), oldest first, tombstones too, page by page."""
        for page in self._query(user_id, model_version, since=since, attributes=_INDEXED):
            yield [_to_index_row(from_item(item)) for item in page["Items"]]

    @operation
    def contents(self, user_id: str, model_version: str, names: Sequence[str]) -> Iterator[list[Row]]:
        """These attributes of every embedding of the model version, as far as each has them, page by page."""
        for page in self._query(user_id, model_version, condition=conditions.live(), attributes=names):
            yield [from_item(item) for item in page["Items"]]

    @operation
    def changed_ids_since(self, user_id: str, model_version: str, since: str | None) -> Iterator[tuple[str, bool]]:
        """The products that changed at `since` or later, oldest change first, and whether each is there or deleted."""
        for page in self._query(user_id, model_version, since=since, attributes=_KEYS):
            rows = (from_item(item) for item in page["Items"])
            yield from ((row["product_id"], writes.is_live(row)) for row in rows)

    @operation
    def last_change(self, user_id: str, model_version: str) -> str | None:
        """When anything of the model version last changed; None where it never had anything."""
        pages = self._query(user_id, model_version, attributes=_KEYS, newest_first=True, Limit=1)
        return next((_normal_time(page["Items"][0]["updated_at"]["S"]) for page in pages if page["Items"]), None)

    def _fix_dimension(
        self, embedding: DBProductEmbedding, target: Target, terms: Terms, profile: DBUser | None
    ) -> None:
        """A store that only replaces a version makes no model version: without one there is nothing to replace."""
        models = ModelVersionRepository(self._manager)
        if terms.versions is None:
            models.declare(embedding.user_id, embedding.model_version, embedding.vector_dimension, profile)
            return
        dimension = models.dimension_of(embedding.user_id, embedding.model_version)
        if dimension is None:
            raise target.stale()
        check_dimension(embedding.vector_dimension, dimension, embedding.model_version)

    def _update(self, product_id: str, user_id: str, model_version: str, change: Change, terms: Terms | None) -> Row:
        given = terms or Terms()
        guard = Guard(conditions.live(), lambda row: False)
        target = self._target(product_id, user_id, model_version)
        return writes.update(self._manager, target, change, Terms(given.write, given.versions, guard))

    def _dimension_for(self, rows: Sequence[Row], user_id: str, model_version: str) -> int:
        """What a row of another origin does not say of itself."""
        if all("vector_dimension" in row for row in rows):
            return 0
        return ModelVersionRepository(self._manager).dimension_of(user_id, model_version) or 0

    def _find_batch(self, keys: Sequence[Item]) -> list[Row]:
        attributes = (*_LISTED, "embedding_vector", "deleted_at")
        return [row for row in self._read_batch(keys, attributes) if writes.is_live(row)]

    def _read_batch(self, keys: Sequence[Item], attributes: Sequence[str]) -> Iterator[Row]:
        """Those of at most 100 keys; what DynamoDB left out, for its throughput or its size, is asked for again."""
        table = self._manager.settings.embeddings_table
        names = {f"#{name}": name for name in attributes}
        unread, attempt = list(keys), 0
        while unread:
            if attempt:
                writes.pause(attempt)
            wanted = {
                "Keys": unread,
                "ConsistentRead": True,
                "ProjectionExpression": ", ".join(names),
                "ExpressionAttributeNames": names,
            }
            answer = self._manager.call("batch_get_item", RequestItems={table: wanted})
            yield from map(from_item, answer["Responses"].get(table, ()))
            unread = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            attempt += 1

    def _read_page(
        self,
        user_id: str,
        model_version: str,
        limit: int,
        start: Position | None,
        newest_first: bool,
        attributes: Sequence[str],
    ) -> tuple[list[Row], Position | None]:
        """Up to `limit` rows after `start`, and where to go on (None: they are the last)."""
        rows: list[Row] = []
        answered, last_read = 0, None
        key: dict[str, Any] = {"ExclusiveStartKey": _start_key(user_id, model_version, start)} if start else {}
        pages = self._query(
            user_id,
            model_version,
            condition=conditions.live(),
            attributes=attributes,
            newest_first=newest_first,
            Limit=limit + 1,
            grow_to=_MOST_ROWS,
            **key,
        )
        for number, page in enumerate(pages, 1):
            rows += [from_item(item) for item in page["Items"]]
            answered, last_read = answered + raw_bytes(page), page.get("LastEvaluatedKey")
            if len(rows) > limit or number == _MAX_PAGES:
                break
        is_small = answered * _MOST_GROWTH <= PAGE_BYTES
        kept = rows[:limit] if is_small else fitting(rows[:limit], _answer_bytes)
        if len(kept) < len(rows):
            return kept, Position(kept[-1]["updated_at"], kept[-1]["product_id"])
        return kept, Position(last_read["updated_at"]["S"], last_read["product_id"]["S"]) if last_read else None

    def _query(
        self,
        user_id: str,
        model_version: str,
        *,
        since: str | None = None,
        condition: conditions.Condition | None = None,
        attributes: Sequence[str] | None = None,
        newest_first: bool = False,
        **parameters: Any,
    ) -> Iterator[dict[str, Any]]:
        """Every page of the model version's index partition; a row that does not name its owner is nobody's."""
        owned = conditions.owned_by(user_id)
        wanted = owned if condition is None else owned & condition
        partition = conditions.partition("owner_model", index_key(user_id, model_version))
        key = partition if since is None else partition & conditions.not_before(since)
        used = key & wanted
        names = {f"#{name}": name for name in attributes or ()}
        if attributes is not None:
            parameters["ProjectionExpression"] = ", ".join(names)
        return query_pages(
            self._manager,
            TableName=self._manager.settings.embeddings_table,
            IndexName=self.index,
            KeyConditionExpression=key.expression,
            ExpressionAttributeNames={**names, **used.names},
            ExpressionAttributeValues=used.values,
            FilterExpression=wanted.expression,
            ScanIndexForward=not newest_first,
            **parameters,
        )

    def _target(self, product_id: str, user_id: str, model_version: str) -> Target:
        key = {"product_id": product_id, "owner_model": index_key(user_id, model_version)}
        return Target(self._manager.settings.embeddings_table, key, user_id, self.kind, SEND_WITHIN_SECONDS)


def require_owner(user_id: str) -> None:
    """Raises Forbidden for an account whose id could reach into another's partition or folder."""
    if not _OWNER.fullmatch(user_id):
        raise Forbidden("This account cannot keep embeddings: its id has characters that they do not allow.")


def index_key(user_id: str, model_version: str) -> str:
    """The partition of a model version in the index. Raises Forbidden as `require_owner`."""
    require_owner(user_id)
    return f"{user_id}#{model_version}"


def _keys(product_ids: Sequence[str], user_id: str, model_version: str) -> list[Item]:
    """The keys of the owner's rows of these products, each once."""
    owner_model = index_key(user_id, model_version)
    return [
        to_item({"product_id": product_id, "owner_model": owner_model}) for product_id in dict.fromkeys(product_ids)
    ]


def _storing(embedding: DBProductEmbedding) -> Change:
    return Change(
        sets={
            "model_version": embedding.model_version,
            "embedding_vector": embedding.embedding_vector.data,
            "vector_dimension": embedding.vector_dimension,
            "product": embedding.product,
        },
        removes=("deleted_at", "expires_at"),
    )


def _as_it_was(embedding: DBProductEmbedding, tombstone: Row, terms: Terms) -> DBProductEmbedding:
    """What a repeated write made, although somebody has deleted it since."""
    stored_at = writes.made_at(tombstone, terms.write)
    return embedding.model_copy(
        update={
            "created_at": stored_at,
            "updated_at": stored_at,
            "version": tombstone["version"],
            "is_new": terms.versions is None,
        }
    )


def _to_embedding(row: Row) -> DBProductEmbedding:
    vector = _to_vector(row.get("embedding_vector"))
    fields = {name: value for name, value in completed(row).items() if name not in _NOT_SHOWN}
    user_id, _, model_version = row["owner_model"].partition("#")
    read = {
        "user_id": user_id,
        "model_version": model_version,
        "embedding_vector": vector,
        "product": _product_of(row),
    }
    return DBProductEmbedding.model_construct(**{"vector_dimension": vector.dimension, **fields, **read})


def _to_vector(stored: object) -> Vector:
    """Rows from before vectors were packed hold a list of numbers. What is no vector is taken for an empty one: one
    such row must not keep the others from being listed and found."""
    if isinstance(stored, bytes) and len(stored) % _COMPONENT_BYTES == 0:
        return Vector(stored)
    try:
        return Vector.of(stored) if isinstance(stored, list) else Vector(b"")
    except (TypeError, ValueError):
        return Vector(b"")


def _product_of(row: Mapping[str, Any]) -> JsonObject:
    """A row of another origin may have none, or what is no object."""
    product = row.get("product")
    return product if isinstance(product, dict) else {}


def _to_index_row(row: Row) -> IndexRow:
    vector = _to_vector(row.get("embedding_vector")).data if writes.is_live(row) else None
    return IndexRow(row["product_id"], _normal_time(row["updated_at"]), vector, _product_of(row))


def _normal_time(text: str) -> str:
    """Rows of another origin may write their times otherwise, or have none that can be read."""
    try:
        moment = datetime.fromisoformat(text)
        normal = text if TIMESTAMP.fullmatch(text) else timestamp(moment)
    except (ValueError, OverflowError):
        return EPOCH
    return normal if moment.year >= _EPOCH_YEAR else EPOCH


def _start_key(user_id: str, model_version: str, position: Position) -> Item:
    return {
        "product_id": to_attribute(position.id),
        "owner_model": to_attribute(index_key(user_id, model_version)),
        "updated_at": to_attribute(position.time),
    }


def _answer_bytes(row: Mapping[str, Any]) -> int:
    vector = _to_vector(row.get("embedding_vector"))
    return vector.dimension * MAX_COMPONENT_TEXT + len(json_text.dumps(_product_of(row)).encode())


def _part(write: WriteId, index: int) -> WriteId:
    """The write of one item of a batch: as random as the batch's, or as well derived (RFC 9562, section 5.5)."""
    return WriteId(str(uuid.uuid5(uuid.UUID(write.id), str(index))), write.fingerprint)
