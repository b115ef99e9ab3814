"""Splitting items into batches that the API takes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .json_text import dumps, float32
from .models.embeddings import NewEmbedding

MAX_ITEMS = 100
MAX_BODY_BYTES = 1024 * 1024
"""What a batch and a body hold at most (docs/API.md, "Embeddings")."""


@dataclass(frozen=True, slots=True)
class Part:
    """An item with its place among those given, and its JSON."""

    index: int
    item: NewEmbedding
    content: bytes

    @property
    def key(self) -> tuple[str, str]:
        return self.item.product_id, self.item.model_version


class Splitter:
    """Groups parts as they come: at most 100, at most a body's bytes, and no product twice, which the API would refuse.

    `held` is the part that did not fit the batch last given: it is taken, and not sent.
    """

    def __init__(self, parts: Iterable[Part], room: int) -> None:
        """`room` is what a body has for items and the commas between them."""
        self.held: Part | None = None
        self._parts = parts
        self._room = room

    def __iter__(self) -> Iterator[list[Part]]:
        batch: list[Part] = []
        keys: set[tuple[str, str]] = set()
        size = 0
        for part in self._parts:
            if batch and (len(batch) == MAX_ITEMS or part.key in keys or size + len(part.content) + 1 > self._room):
                self.held = part
                yield batch
                self.held, batch, keys, size = None, [], set(), 0
            batch.append(part)
            keys.add(part.key)
            size += len(part.content) + 1
        if batch:
            yield batch


def item_members(item: NewEmbedding) -> dict[str, object]:
    """An item as a batch holds it."""
    return {
        "product_id": item.product_id,
        "model_version": item.model_version,
        "embedding_vector": float32(item.embedding_vector),
        "product": item.product,
    }


def item_json(item: NewEmbedding) -> bytes:
    """Raises NotSendable for what JSON does not have."""
    return dumps(item_members(item))


def batch_json(parts: Iterable[Part], catalogue: str) -> bytes:
    return b'{"catalogue":%s,"items":[%s]}' % (dumps(catalogue), b",".join(part.content for part in parts))


def room_for_items(catalogue: str) -> int:
    """Bytes that a body of this catalogue has for items, each with the comma after it."""
    return MAX_BODY_BYTES - len(batch_json((), catalogue)) + 1
