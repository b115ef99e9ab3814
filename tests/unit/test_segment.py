"""Segments come back from their bytes as they were, and from no other bytes at all."""

import pickle
import struct
import zlib
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.database.index_rows import IndexRow
from shared.models.vector import MAX_DIMENSION
from shared.similarity.segment import (
    CorruptSegment,
    Segment,
    is_usable,
    keys_bytes_of,
    keys_of,
    merge,
    microseconds,
)
from tests.support.documents import documents
from tests.support.vectors import at, matrices, random_vectors, row, rows_of

HEAD = struct.Struct("<8sIIIQQ")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)

SMALL = Segment.of([row("a", [1, 2], 3, kind="x"), row("ß", [-3, 0.5], 1, kind=["ü"]), row("c", [0, 9])], 2)
DATA = SMALL.to_bytes()
KEYS = keys_bytes_of(DATA)
IDS_END = HEAD.size + 7 * 8 + len("aßc".encode())


@st.composite
def segments(draw: st.DrawFn) -> Segment:
    ids = draw(st.lists(TEXT, unique=True, max_size=5))
    dimension = draw(st.integers(1, 5))
    vectors = draw(matrices(len(ids), dimension, extreme=True))
    times = [at(draw(st.integers(0, 10**9))) for _ in ids]
    products = [draw(documents()) for _ in ids]
    return Segment.of(
        [IndexRow(*fields) for fields in zip(ids, times, map(bytes, vectors), products, strict=True)], dimension
    )


def assert_same(one: Segment, other: Segment) -> None:
    assert one.ids == other.ids
    assert one.updated_at.tolist() == other.updated_at.tolist()
    assert one.vectors.tobytes() == other.vectors.tobytes()
    assert one.vectors.shape == other.vectors.shape
    assert one.squares.tolist() == other.squares.tolist()
    assert [one.documents.text(place) for place in range(len(one))] == [
        other.documents.text(place) for place in range(len(other))
    ]


@settings(deadline=None)
@given(segment=segments())
def test_a_segment_comes_back_from_its_bytes(segment: Segment) -> None:
    assert_same(Segment.from_bytes(segment.to_bytes()), segment)


@settings(deadline=None)
@given(segment=segments())
def test_the_keys_can_be_read_alone(segment: Segment) -> None:
    data = segment.to_bytes()
    keys = keys_of(data[: keys_bytes_of(data[: HEAD.size])])
    assert keys.ids == segment.ids
    assert keys.updated_at.tolist() == segment.updated_at.tolist()


def test_a_segment_holds_its_rows() -> None:
    assert (len(SMALL), SMALL.dimension, SMALL.ids) == (3, 2, ["a", "ß", "c"])
    assert SMALL.vectors.tolist() == [[1, 2], [-3, 0.5], [0, 9]]
    assert SMALL.squares.tolist() == [5, 9.25, 81]
    assert SMALL.norms[2] == 9
    assert SMALL.documents.load(1) == {"kind": ["ü"]}
    assert [SMALL.row_of(name) for name in ("ß", "a", "b")] == [1, 0, None]


def test_memory_is_counted() -> None:
    segment = Segment.of(rows_of(random_vectors(1000, 64)), 64)
    before = segment.nbytes
    made = (segment.updated_at, segment.vectors, segment.squares, segment.norms, segment.reciprocals)
    assert before > sum(array.nbytes for array in made) + len(segment.documents.blob)
    assert before == segment.nbytes


def test_vectors_are_a_view_of_the_bytes_and_those_are_counted_once() -> None:
    made = Segment.of(rows_of(random_vectors(1000, 64)), 64)
    data = made.to_bytes()
    loaded = Segment.from_bytes(data)
    assert np.shares_memory(loaded.vectors, np.frombuffer(data, np.uint8))
    assert loaded.vectors.flags.aligned
    assert not loaded.vectors.flags.writeable
    assert keys_bytes_of(data) % 64 == 0
    assert loaded.nbytes == made.nbytes + len(data) - made.vectors.nbytes
    for copied in (loaded.select(np.arange(1000)), merge([(loaded, None), (made.select(np.arange(0)), None)])):
        assert copied.nbytes == made.nbytes


def test_vectors_that_are_the_smaller_part_do_not_keep_the_bytes_in_memory() -> None:
    made = Segment.of([row(f"p{number}", [1, 2], text="x" * 50) for number in range(9)], 2)
    data = made.to_bytes()
    loaded = Segment.from_bytes(data)
    assert not np.shares_memory(loaded.vectors, np.frombuffer(data, np.uint8))
    assert loaded.nbytes == made.nbytes


def test_times_are_microseconds() -> None:
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert microseconds(at(0)) == int(moment.timestamp()) * 1_000_000
    assert microseconds("1969-12-31T23:59:59.999999Z") == -1
    with pytest.raises(ValueError, match="Invalid isoformat"):
        microseconds("yesterday")


@pytest.mark.parametrize(
    ("vector", "usable"),
    [
        ([1.0, 2.0], True),
        ([0.0, -1e-45], True),
        ([3.4e38, 3.4e38], True),
        ([0.0, -0.0], False),
        ([1.0, float("nan")], False),
        ([float("-inf"), 1.0], False),
        ([1.0], False),
        ([1.0, 2.0, 3.0], False),
    ],
)
def test_which_vectors_can_be_in_a_segment(vector: list[float], usable: bool) -> None:
    bad = row("a", vector)
    assert bad.vector is not None
    assert is_usable(bad.vector, 2) is usable
    if usable:
        assert len(Segment.of([bad], 2)) == 1
    else:
        with pytest.raises(ValueError, match="vector"):
            Segment.of([bad], 2)


def test_what_else_cannot_be_in_a_segment() -> None:
    with pytest.raises(ValueError, match="vector of 2 dimensions"):
        Segment.of([row("a", None)], 2)
    with pytest.raises(ValueError, match="an id repeats"):
        Segment.of([row("a", [1, 2]), row("a", [1, 3])], 2)


def test_merging_keeps_the_live_rows() -> None:
    other = Segment.of([row("d", [7, 7], 5, n=1), row("e", [8, 8], 6, n=2)], 2)
    merged = merge([(SMALL, np.array([True, False, True])), (other, None), (SMALL, np.zeros(3, np.bool_))])
    same = Segment.of(
        [row("a", [1, 2], 3, kind="x"), row("c", [0, 9]), row("d", [7, 7], 5, n=1), row("e", [8, 8], 6, n=2)], 2
    )
    assert_same(merged, same)
    assert_same(Segment.from_bytes(merged.to_bytes()), same)


def test_merging_several_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match="dimensions"):
        merge([(SMALL, None), (Segment.of([row("z", [1])], 1), None)])


def test_truncated_bytes_are_refused() -> None:
    for length in range(len(DATA)):
        with pytest.raises(CorruptSegment):
            Segment.from_bytes(DATA[:length])
    for length in range(KEYS):
        with pytest.raises(CorruptSegment):
            keys_of(DATA[:length])


@pytest.mark.parametrize("padding", [b"\0", b" ", b",{}", DATA])
def test_padded_bytes_are_refused(padding: bytes) -> None:
    for data in (DATA + padding, padding + DATA):
        with pytest.raises(CorruptSegment):
            Segment.from_bytes(data)


@pytest.mark.parametrize("read", [Segment.from_bytes, keys_of])
def test_a_flipped_bit_in_the_keys_is_refused(read: Callable[[bytes], object]) -> None:
    for bit in range(8 * KEYS):
        data = bytearray(DATA)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptSegment):
            read(bytes(data))


@settings(deadline=None)
@given(place=st.integers(KEYS, len(DATA) - 1), byte=st.integers(0, 255))
def test_a_changed_value_is_refused_or_readable(place: int, byte: int) -> None:
    """Values have no checksum of their own, but whatever passes is sound: nothing fails later."""
    data = bytearray(DATA)
    data[place] = byte
    try:
        segment = Segment.from_bytes(bytes(data))
    except CorruptSegment:
        return
    assert segment.ids == SMALL.ids
    assert [segment.documents.text(number)[0] for number in range(3)] == ["{"] * 3
    assert (segment.norms > 0).all()
    assert np.isfinite(segment.norms).all()


@settings(deadline=None)
@given(data=st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    for noise in (data, DATA[:12] + data, DATA[:KEYS] + data):
        with pytest.raises(CorruptSegment):
            Segment.from_bytes(noise)


def test_nothing_is_unpickled() -> None:
    for data in (pickle.dumps(SMALL.ids), b"\x93NUMPY" + pickle.dumps(object), b"PK\3\4" + DATA):
        with pytest.raises(CorruptSegment, match=r"segment|head"):
            Segment.from_bytes(data)


def signed(change: Callable[[bytearray], None]) -> bytes:
    """The bytes after a change, with the checksum that belongs to them, as of a writer that errs."""
    data = bytearray(DATA)
    change(data)
    struct.pack_into("<I", data, 8, zlib.crc32(data[12 : keys_bytes_of(bytes(data))]))
    return bytes(data)


def put(format_: str, place: int, *values: int | float) -> Callable[[bytearray], None]:
    return lambda data: struct.pack_into(format_, data, place, *values)


VECTORS = KEYS
OFFSETS = VECTORS + 3 * 2 * 4
DOCUMENTS = OFFSETS + 4 * 8
LAST_OFFSET = len(DATA) - DOCUMENTS + 1
LAST_ID_OFFSET = IDS_END - HEAD.size - 7 * 8
ERRORS: dict[str, tuple[Callable[[bytearray], None], str]] = {
    "no dimension": (put("<I", 12, 0), "begin"),
    "too many dimensions": (put("<I", 12, MAX_DIMENSION + 1), "begin"),
    "first id offset": (put("<q", HEAD.size, 1), "offsets"),
    "falling id offsets": (put("<qq", HEAD.size + 8, 3, 1), "offsets"),
    "negative id offset": (put("<q", HEAD.size + 8, -1), "offsets"),
    "id offset past the end": (put("<q", HEAD.size + 8, 1 << 40), "offsets"),
    "id offsets whose differences overflow": (
        put("<qq", HEAD.size + 8, 1 << 33, LAST_ID_OFFSET + 1 - (1 << 63)),
        "offsets",
    ),
    "split character": (put("<q", HEAD.size + 8, 2), "UTF-8"),
    "id that repeats": (put("<B", IDS_END - 1, ord("a")), "repeats"),
    "id not UTF-8": (put("<B", IDS_END - 1, 0xFF), "UTF-8"),
    "first byte after the ids": (put("<B", IDS_END, 1), "zeros"),
    "last byte of the keys": (put("<B", KEYS - 1, 0x80), "zeros"),
    "zero vector": (put("<ff", VECTORS, 0.0, 0.0), "all zero"),
    "infinite vector": (put("<f", VECTORS, float("inf")), "finite"),
    "NaN in a vector": (put("<f", VECTORS, float("nan")), "finite"),
    "first document offset": (put("<q", OFFSETS, 1), "offsets"),
    "falling document offsets": (put("<qq", OFFSETS + 8, 30, 20), "offsets"),
    "document offsets whose differences overflow": (
        put("<qq", OFFSETS + 8, 1 << 33, LAST_OFFSET + 1 - (1 << 63)),
        "offsets",
    ),
    "last document offset": (put("<q", OFFSETS + 24, LAST_OFFSET - 1), "offsets"),
    "shifted document": (put("<q", OFFSETS + 8, 11), "not an object"),
    "short document": (put("<q", OFFSETS + 8, 1), "too short"),
    "document without a brace": (put("<B", DOCUMENTS, ord("[")), "not an object"),
    "document without its end": (put("<B", len(DATA) - 1, ord("]")), "not an object"),
    "no comma": (put("<B", DOCUMENTS + 12, ord(" ")), "not an object"),
    "document not UTF-8": (put("<B", DOCUMENTS + 3, 0xFF), "UTF-8"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_bytes_that_contradict_themselves_are_refused(name: str) -> None:
    change, message = ERRORS[name]
    with pytest.raises(CorruptSegment, match=message):
        Segment.from_bytes(signed(change))


def test_documents_of_no_row_are_refused() -> None:
    head = HEAD.pack(b"K9SEGM1\n", 0, 2, 0, 0, 2)
    keys = (head[12:] + bytes(8)).ljust(64 - 12, b"\0")
    data = head[:8] + struct.pack("<I", zlib.crc32(keys)) + keys + bytes(8) + b"{}"
    with pytest.raises(CorruptSegment, match="of no row"):
        Segment.from_bytes(data)


def test_a_head_that_names_more_than_there_is_allocates_nothing() -> None:
    head = HEAD.pack(b"K9SEGM1\n", 0, MAX_DIMENSION, (1 << 32) - 1, (1 << 63), (1 << 63))
    for read in (Segment.from_bytes, keys_of):
        with pytest.raises(CorruptSegment):
            read(head)
