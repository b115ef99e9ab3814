"""Segments of snapshots: bytes from S3, with checksums that hold, since those that do not are refused at once."""

import struct
import zlib
from random import Random
from typing import Any

import numpy as np

from shared.database.index_rows import IndexRow
from shared.similarity.segment import CorruptSegment, Keys, Segment, keys_bytes_of, keys_of

from .target import Raw, Target

_HEAD = struct.Struct("<8sIIIQQ")
_MAGIC = b"K9SEGM1\n"
_TIME = "2026-01-01T00:00:00.000000Z"


def check(data: bytes) -> str:
    """What reads is whole: as many of each as there are rows, distinct ids, vectors to search; and no other bytes."""
    keys = _keys(data)
    try:
        segment = Segment.from_bytes(data)
    except CorruptSegment:
        return "refused: keys" if keys is None else "refused"
    assert keys is not None, "the whole reads, its keys alone do not"
    assert keys.ids == segment.ids, "the keys have other ids"
    assert keys.updated_at.tolist() == segment.updated_at.tolist(), "the keys have other times"
    _check_whole(segment)
    assert segment.to_bytes() == data, "what was read is written otherwise"
    return "accepted" if len(segment) else "accepted: no rows"


def _keys(data: bytes) -> Keys | None:
    try:
        keys = keys_of(data[: keys_bytes_of(data)])
    except CorruptSegment:
        return None
    assert len(keys.ids) == len(keys.updated_at), "there are as many times as ids"
    return keys


def _check_whole(segment: Segment) -> None:
    rows = len(segment.ids)
    assert segment.vectors.shape == (rows, segment.dimension)
    assert 1 <= segment.dimension <= 4096
    assert segment.updated_at.shape == (rows,)
    assert len(set(segment.ids)) == rows, "an id repeats"
    assert len(segment.documents) == rows
    squares = np.square(segment.vectors.astype(np.float64)).sum(axis=1)
    assert (np.isfinite(squares) & (squares > 0)).all(), "a vector has no length"
    assert np.allclose(segment.norms, np.sqrt(squares))
    for row, name in enumerate(segment.ids):
        name.encode()
        assert segment.row_of(name) == row
        text = segment.documents.text(row)
        assert (text[0], text[-1]) == ("{", "}"), "a document is not in braces"
    assert ",".join(segment.documents.text(row) for row in range(rows)) == segment.documents.blob.decode()


def sealed(data: bytes) -> bytes:
    """These bytes with the checksum of their keys put right, as far as they have a head."""
    if len(data) < _HEAD.size:
        return data
    _, _, _, rows, id_bytes, _ = _HEAD.unpack_from(data)
    end = _HEAD.size + 8 * (2 * rows + 1) + id_bytes
    checksum = zlib.crc32(data[12 : end + -end % 64])
    return data[:8] + struct.pack("<I", checksum) + data[12:]


def packed(dimension: int, ids: list[bytes], vectors: bytes, documents: list[bytes]) -> bytes:
    """A segment of these parts, whatever is in them."""
    names, blob = b"".join(ids), b",".join(documents)
    head = _HEAD.pack(_MAGIC, 0, dimension, len(ids), len(names), len(blob))
    keys = head + _offsets(ids, 0) + bytes(8 * len(ids)) + names
    return sealed(keys + bytes(-len(keys) % 64) + vectors + _offsets(documents, 1) + blob)


def _offsets(parts: list[bytes], gap: int) -> bytes:
    places = [0]
    for part in parts:
        places.append(places[-1] + len(part) + gap)
    return struct.pack(f"<{len(places)}q", *places)


def _rows(count: int, dimension: int) -> list[IndexRow]:
    vector = struct.pack(f"<{dimension}f", *range(1, dimension + 1))
    documents: list[dict[str, Any]] = [{}, {"name": "Rex", "tags": ["a", 1.5]}, {"\u00fc": None}]
    return [IndexRow(f"product {row}\u00fc", _TIME, vector, documents[row % 3]) for row in range(count)]


def _seeds() -> list[bytes]:
    good = [Segment.of(_rows(*shape), shape[1]).to_bytes() for shape in ((1, 1), (2, 3), (3, 2), (12, 8))]
    vector = struct.pack("<2f", 1, 2)
    parts = [
        (2, [b"a", b"a"], 2 * vector, [b"{}", b"{}"]),
        (2, [b"a", b"\xff"], 2 * vector, [b"{}", b"{}"]),
        (2, [b"a"], struct.pack("<2f", 0, 0), [b"{}"]),
        (2, [b"a"], struct.pack("<2f", float("nan"), 1), [b"{}"]),
        (2, [b"a"], vector, [b"[]"]),
        (2, [b"a"], vector, [b"{\xff}"]),
        (2, [], b"", []),
        (2, [], b"", [b"{}"]),
    ]
    return [
        *good,
        *(packed(*part) for part in parts),
        good[1][:-1],
        good[1] + b"}",
        good[1][:30],
        good[0].replace(b"1", b"2"),
    ]


_ODD = (0, 1, -1, 7, 8, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, -(2**63), 4096, 4097)


def _mutate(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    """A number of the head or of the offsets, a component, or any bytes; sealed anew but for one time in twenty."""
    chance = source.random()
    if chance < 0.2 or len(data) < _HEAD.size:
        data = raw(data, longest)
    elif chance < 0.45:
        form, place = source.choice((("<I", 12), ("<I", 16), ("<Q", 20), ("<Q", 28)))
        data = _with_number(data, form, place, source)
    elif chance < 0.9:
        place = _HEAD.size + 8 * source.randrange(max(1, (len(data) - _HEAD.size) // 8))
        data = _with_number(data, "<q", min(place, len(data) - 8), source)
    else:
        place = source.randrange(len(data) - 3)
        data = (
            data[:place]
            + struct.pack("<f", source.choice((0.0, 1e38, 1e-45, float("inf"), float("nan"))))
            + data[place + 4 :]
        )
    return sealed(data) if source.random() < 0.95 else data


def _with_number(data: bytes, form: str, place: int, source: Random) -> bytes:
    """The number at a place replaced by an odd one, or by one that is near it."""
    (number,) = struct.unpack_from(form, data, place)
    number = source.choice(_ODD) if source.random() < 0.3 else number + source.choice((-8, -2, -1, 1, 2, 8))
    size = struct.calcsize(form)
    return data[:place] + (number % (1 << 8 * size)).to_bytes(size, "little") + data[place + size :]


SEGMENTS = Target(
    "segment",
    ("refused: keys", "refused", "accepted: no rows", "accepted"),
    check,
    _mutate,
    _seeds,
    runs=1_600_000,
    max_length=2048,
    words=(_MAGIC, b"{}", b"},{"),
)
