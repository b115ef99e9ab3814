"""Page cursors, as a client hands them back, or makes them up."""

import base64
import json
from random import Random

from shared.database.cursors import Position, decode_cursor, encode_cursor
from shared.errors import MalformedRequest

from . import json_mutation
from .target import Raw, Target


def check(data: bytes) -> str:
    """What is read is what the text says, and is written as the very same text; nothing else is refused."""
    cursor = data.decode("utf-8", "surrogateescape")
    expected = _position(cursor)
    try:
        position = decode_cursor(cursor)
    except MalformedRequest:
        assert expected is None, "a cursor is refused"
        return "refused"
    assert expected == (position.time, position.id), "a cursor says what is not in it"
    assert encode_cursor(position) == cursor, "a cursor is not one that is given"
    return "accepted"


def _position(cursor: str) -> tuple[str, str] | None:
    """What a cursor says; None unless its text is compact JSON of `[1, time, id]` in unpadded base64url."""
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        parts = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if type(parts) is not list or len(parts) != 3 or type(parts[0]) is not int or parts[0] != 1:
        return None
    if not _is_key(parts[1], 1024) or not _is_key(parts[2], 2048) or json.dumps(parts, separators=(",", ":")) != text:
        return None
    canonical = base64.b64encode(text.encode(), altchars=b"-_").decode().rstrip("=")
    return (parts[1], parts[2]) if canonical == cursor else None


def _is_key(part: object, longest: int) -> bool:
    if not isinstance(part, str) or any("\ud800" <= character <= "\udfff" for character in part):
        return False
    return 1 <= len(part.encode()) <= longest


_TIME = "2026-01-01T00:00:00.000000Z"
_VALUES = tuple(map(json.dumps, [1, 2, 1.0, True, "1", _TIME, "p" * 2049, "t" * 1025, "\u00fc", "\U0001f600"]))


def _encoded(text: bytes) -> bytes:
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def _seeds() -> list[bytes]:
    texts = [
        b'[1,"t","\\ud800"]',
        b'[1,"t","\\u00fc"]',
        b'[1, "t","p"]',
        b'[2,"t","p"]',
        b'[1.0,"t","p"]',
        b"[1]",
        b"[" * 999,
    ]
    given = [
        encode_cursor(Position(*names))
        for names in ((_TIME, "p1"), (_TIME, "product/\u00fc \U0001f600"), ("t", "p" * 2048))
    ]
    return [*(cursor.encode() for cursor in given), *map(_encoded, texts), given[0].encode() + b"=", b"\xff"]


_VOCABULARY = json_mutation.Vocabulary((), _VALUES, [b'[1,"2026-01-01T00:00:00.000000Z","p1"]'])


def _mutate(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    """Mostly the JSON inside, encoded anew; else the text around it, where trailing bits and junk may hide."""
    chance = source.random()
    if chance < 0.1:
        return raw(data, longest)
    if chance < 0.3 and data:
        place = source.randrange(len(data))
        return (
            data[:place]
            + source.choice((b"=", b"+", b"/", b"_", b"B", b"\n", b""))
            + data[place + source.randint(0, 1) :]
        )
    try:
        text = base64.urlsafe_b64decode(data + b"=" * (-len(data) % 4))
    except ValueError:
        text = b""
    return _encoded(json_mutation.mutate(text, source, raw, longest, _VOCABULARY))


CURSORS = Target("cursor", ("refused", "accepted"), check, _mutate, _seeds, runs=2_000_000, words=(b"WzEs", b"="))
