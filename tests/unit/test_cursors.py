"""Cursors: what we wrote comes back, and nothing else is read."""

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.database.cursors import Position, decode_cursor, encode_cursor
from shared.errors import MalformedRequest

POSITION = Position("2026-01-01T00:00:00.000000Z", "3f0e9a52-7a5c-4b63-8d0f-0d4d1f2a9c11")
CURSOR = encode_cursor(POSITION)


def forged(document: object) -> str:
    text = document if isinstance(document, bytes) else json.dumps(document, separators=(",", ":")).encode()
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def assert_refused(cursor: str) -> None:
    with pytest.raises(MalformedRequest, match="Start again without a cursor"):
        decode_cursor(cursor)


def keys(limit: int) -> st.SearchStrategy[str]:
    """Of rows of another origin too: whatever DynamoDB takes for a key."""
    return st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: len(text.encode()) <= limit)


@given(time=keys(1024), row_id=keys(2048))
@example("t" * 1024, "\U0001f436" * 512)
@example("\n", "a\x00\u00a0")
def test_every_position_comes_back(time: str, row_id: str) -> None:
    cursor = encode_cursor(Position(time, row_id))
    assert decode_cursor(cursor) == Position(time, row_id)
    assert cursor.isascii()
    assert not set("=+/?&# ") & set(cursor)


def test_a_cursor_holds_the_position_and_nothing_else() -> None:
    """No owner, no partition key: those come from the token at each request."""
    assert forged([1, POSITION.time, POSITION.id]) == CURSOR


@pytest.mark.parametrize("index", range(len(CURSOR)))
def test_every_changed_character_is_refused_or_is_another_position(index: int) -> None:
    """Never an unexpected error, and never two texts for one position."""
    for replacement in "A_-=0é\x00":
        changed = CURSOR[:index] + replacement + CURSOR[index + 1 :]
        if changed == CURSOR:
            continue
        try:
            position = decode_cursor(changed)
        except MalformedRequest:
            continue
        assert position != POSITION
        assert encode_cursor(position) == changed


BAD_VERSIONS: list[object] = [0, 2, True, 1.0, "1", None]
BAD_PARTS: list[object] = ["", 7, None, "a" * 2049, "\ud800", {"S": "a"}, ["a"]]
FORGED_LISTS: list[list[object]] = [
    [],
    [1],
    [1, "a"],
    [1, "a", "b", "c"],
    *([version, "a", "b"] for version in BAD_VERSIONS),
    *([1, part, "b"] for part in BAD_PARTS),
    *([1, "a", part] for part in BAD_PARTS),
    [1, "a" * 1025, "b"],
    [1, "\u00e4" * 513, "b"],
]
FORGED_TEXTS = [
    b"",
    b"null",
    b'"text"',
    b"1",
    b'{"created_at":"a","id":"b","user_id":"bob"}',
    b'[1, "a", "b"]',
    b'[1,"a","b"]x',
    b"[1,'a','b']",
    b'[1,"\\u0061","b"]',
    b'[1,"a",NaN]',
    b'\xef\xbb\xbf[1,"a","b"]',
    '[1,"a","b"]'.encode("utf-16"),
    b"\xff\xfe",
    b"[" * 5000,
    b"9" * 5000,
]
OTHER_TEXTS = [
    *("", " ", "!", "é", "\ud800", "null", "A" * 5001),
    *(CURSOR + "=", CURSOR + "A", CURSOR[:-1], CURSOR * 2, f" {CURSOR}", f"{CURSOR}\n", f"{CURSOR[:8]}\n{CURSOR[8:]}"),
]


@pytest.mark.parametrize("document", [*FORGED_LISTS, *FORGED_TEXTS], ids=lambda value: repr(value)[:24])
def test_forgeries(document: object) -> None:
    assert_refused(forged(document))


@pytest.mark.parametrize("cursor", OTHER_TEXTS, ids=lambda value: ascii(value)[:24])
def test_other_texts(cursor: str) -> None:
    assert_refused(cursor)


@given(cursor=st.text(max_size=60))
def test_no_text_is_unexpected(cursor: str) -> None:
    assert_refused(cursor)


@given(content=st.binary(max_size=60))
def test_no_bytes_are_unexpected(content: bytes) -> None:
    assert_refused(forged(content))
