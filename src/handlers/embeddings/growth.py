"""The most that a request about embeddings may store more, where that is limited. The shared catalogue is not."""

from collections.abc import Iterable
from typing import Any

from shared.auth import Caller
from shared.database import DBProductEmbedding
from shared.database.content import bytes_to_store
from shared.models.embedding import Catalogue, EmbeddingKey, StoreEmbedding, StoreEmbeddings, UpdateProduct
from shared.scope import Growth

from .batch import read_items


def of_store(caller: Caller, body: StoreEmbedding, **_: Any) -> Growth:
    return _of_rows([body.stored_by(caller.user_id)], body.catalogue)


def of_batch(caller: Caller, body: StoreEmbeddings, **_: Any) -> Growth:
    """The items that can be read: the others store nothing."""
    items = read_items(body.items, caller.user_id)
    return _of_rows((item for item in items if isinstance(item, DBProductEmbedding)), body.catalogue)


def of_update(query: EmbeddingKey, body: UpdateProduct, **_: Any) -> Growth:
    """The new metadata: how large the old is is not known."""
    return Growth(0, bytes_to_store({"product": body.product})) if query.catalogue == "own" else Growth()


def _of_rows(rows: Iterable[DBProductEmbedding], catalogue: Catalogue) -> Growth:
    total = Growth()
    if catalogue == "own":
        for row in rows:
            total += Growth(1, bytes_to_store({**dict(row), "embedding_vector": row.embedding_vector.data}))
    return total
