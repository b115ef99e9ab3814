"""One text for each value, and digests of many rows that do not depend on their order."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_MODULUS = 1 << 256


def row_digest(row: Mapping[str, Any]) -> bytes:
    """SHA-256 of an item's attributes as `attributes.from_item` gives them: equal for equal items, whatever the order
    of their members."""
    kinds = sorted((name, *_kind_and_value(value)) for name, value in row.items())
    text = json.dumps(kinds, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=_exactly)
    return hashlib.sha256(text.encode()).digest()


def source_digest(collection: str, position: str, values: Mapping[str, Any]) -> bytes:
    """SHA-256 of a source's row as it was read; Python prints every value of a source so that equals print alike."""
    text = repr((collection, position, sorted(values.items())))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _kind_and_value(value: Any) -> tuple[str, Any]:
    """Only attributes of the item itself can be binaries and sets; within documents there are JSON's types alone."""
    if isinstance(value, bytes):
        return "B", b64encode(value).decode()
    if isinstance(value, set | frozenset):
        return "S", sorted(map(str, value))
    return "J", value


def _exactly(value: object) -> object:
    if isinstance(value, Decimal):
        return {"\0decimal": str(value)}
    raise TypeError(f"{type(value).__name__} is no value of an item")


@dataclass(slots=True)
class MultisetDigest:
    """The sum of digests mod 2^256: which rows there are and how often, in whatever order they are added.

    To make two different sets of rows agree by intent is a hard problem (Clarke et al., "Incremental multiset hash
    functions"); by accident it does not happen.
    """

    total: int = 0
    count: int = 0

    def add(self, digest: bytes) -> None:
        self.total = (self.total + int.from_bytes(digest)) % _MODULUS
        self.count += 1

    def add_all(self, digests: Iterable[bytes]) -> None:
        for digest in digests:
            self.add(digest)

    def hex(self) -> str:
        return f"{self.total:064x}"
