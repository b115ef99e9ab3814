"""Rows of the embeddings table as the similarity index reads them: no models, no validation, bytes as they are."""

from dataclasses import dataclass

from ..models.json_value import JsonObject


@dataclass(frozen=True, slots=True)
class IndexRow:
    """The newest known state of one product; `vector` (float32, little-endian) is None where it was deleted.

    `updated_at` is a text of `models.fields.timestamp`: its order is the order of time.
    """

    product_id: str
    updated_at: str
    vector: bytes | None
    product: JsonObject
