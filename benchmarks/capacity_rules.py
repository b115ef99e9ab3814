"""DynamoDB's documented rules: how large an item is, and how many units reading or writing it takes.

From the Developer Guide, "DynamoDB item sizes and formats" and "Capacity unit consumption": names and strings count
their UTF-8 bytes, numbers about a byte per two digits and one more, binaries their bytes, lists and maps 3 and one for
each member, booleans and null 1.
"""

from base64 import b64decode
from collections.abc import Mapping
from math import ceil
from typing import Any

Item = Mapping[str, Mapping[str, Any]]

_COLLECTION, _MEMBER, _INDEX_ENTRY = 3, 1, 100
_WRITE, _READ = 1024, 4096


def item_size(item: Item) -> int:
    """Bytes of an item's names and values, as capacity is counted by; binaries as bytes, or base64 text."""
    return sum(len(name.encode()) + value_size(value) for name, value in item.items())


def value_size(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return number_size(value)
        case "B":
            return len(value if isinstance(value, bytes) else b64decode(value))
        case "SS":
            return sum(len(member.encode()) for member in value)
        case "L":
            return _COLLECTION + sum(_MEMBER + value_size(member) for member in value)
        case "M":
            return _COLLECTION + item_size(value) + _MEMBER * len(value)
    return 1


def number_size(text: str) -> int:
    """A byte per two significant digits, rounded up, one for the exponent and one for a minus sign."""
    digits = text.lstrip("-").split("e")[0].split("E")[0].replace(".", "").strip("0")
    return ceil(len(digits) / 2) + 1 + text.startswith("-")


def write_units(size: int) -> int:
    """Units of writing an item of so many bytes, the larger of before and after."""
    return max(1, ceil(size / _WRITE))


def read_units(size: int, *, consistent: bool) -> float:
    """Units of one read of so many bytes in all."""
    return max(1, ceil(size / _READ)) / (1 if consistent else 2)


def stored_size(item: Item) -> int:
    """Bytes that storage is paid for: 100 more for each item, of a table and of an index alike."""
    return item_size(item) + _INDEX_ENTRY


def table_write_units(before: Item | None, after: Item | None) -> int:
    """A write takes the larger of what was there and what is; a refused one what is there, or one unit."""
    return write_units(max(item_size(before or {}), item_size(after or {})))


def index_write_units(before: Item | None, after: Item | None, index: Mapping[str, Any]) -> int:
    """What a global secondary index that projects everything takes of a write to its table.

    An entry that is new, gone or changed under its key is one write. One whose key changed is two: the old entry is
    deleted and a new one put. Nothing changed is none.
    """
    names = [part["AttributeName"] for part in index["KeySchema"]]
    old, new = (row if row and all(name in row for name in names) else None for row in (before, after))
    if old == new:
        return 0
    if old and new and any(old[name] != new[name] for name in names):
        return write_units(item_size(old)) + write_units(item_size(new))
    return table_write_units(old, new)
