"""What a limit of stored bytes counts: the content of a row, as its owner sent it.

Texts count as UTF-8, a reference and a product's metadata as compact JSON, a vector 4 bytes a component, favourites as
their ids together. Times, versions, owners and what the write path keeps for itself do not count, so that a row's size
is known before it is written, and never changes unless its owner changes it. Profiles and files are not counted at all.
"""

from collections.abc import Mapping
from typing import Any

from ..models import json_text
from .attributes import from_item, to_item

_COMPONENT_BYTES = 4
CHANGEABLE = ("title", "author", "date", "reference", "favorites", "product")
"""What a change of a row may make larger; a new vector is as long as the old one."""

CONTENT = ("product_id", "model_version", "embedding_vector", *CHANGEABLE)


def content_bytes(row: Mapping[str, Any], names: tuple[str, ...] = CONTENT) -> int:
    """Bytes of these attributes of a row, as it is read."""
    return sum(_size(name, row[name]) for name in names if name in row)


def bytes_to_store(members: Mapping[str, Any]) -> int:
    """As `content_bytes`, of what is about to be stored: a number may be written otherwise once it is read again."""
    return content_bytes(from_item(to_item({name: members[name] for name in CONTENT if name in members})))


def _size(name: str, value: Any) -> int:
    if name == "embedding_vector" and isinstance(value, list):
        return _COMPONENT_BYTES * len(value)  # a row of another origin
    if isinstance(value, set):
        return sum(len(str(member).encode()) for member in value)
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes):
        return len(value)
    return 0 if value is None else len(json_text.dumps(value).encode("utf-8", "surrogatepass"))
