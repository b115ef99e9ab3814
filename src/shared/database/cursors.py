"""Page cursors: the sort position only, as base64url JSON.

The partition key is always rebuilt from the caller, so that a cursor, whoever made it, moves its holder within their
own rows and nowhere else.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from ..errors import MalformedRequest

_FORMAT = 1
_MAX_TIME, _MAX_ID = 1024, 2048
"""Bytes that DynamoDB takes for a sort key and a partition key."""


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: where the next page goes on. `time` is the index's sort key, `id` the table's key."""

    time: str
    id: str


def encode_cursor(position: Position) -> str:
    text = json.dumps([_FORMAT, position.time, position.id], separators=(",", ":"))
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode_cursor(cursor: str) -> Position:
    """The position that `encode_cursor` wrote. Raises MalformedRequest for any other text, before DynamoDB is asked."""
    position = _read(cursor)
    if position is None or encode_cursor(position) != cursor:
        raise MalformedRequest("The cursor is not one that this route gave. Start again without a cursor.")
    return position


def _read(cursor: str) -> Position | None:
    try:
        parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(parts, list) or len(parts) != 3 or type(parts[0]) is not int or parts[0] != _FORMAT:
        return None
    return Position(parts[1], parts[2]) if _is_key(parts[1], _MAX_TIME) and _is_key(parts[2], _MAX_ID) else None


def _is_key(part: object, longest: int) -> bool:
    """Text that DynamoDB takes as a key: not empty, and valid Unicode (JSON can spell half a surrogate pair)."""
    try:
        return isinstance(part, str) and 0 < len(part.encode()) <= longest
    except UnicodeEncodeError:
        return False
