"""Segments: immutable blocks of rows (id, time, vector, document), and the bytes that they are kept as.

The bytes, all numbers little-endian, where n rows have vectors of dimension d:

    keys    magic, CRC-32 of the rest of the keys, d, n, bytes of all ids, bytes of all documents    (see `_HEAD`)
            id offsets int64 (n + 1,), times int64 (n,), ids as UTF-8 one after the other, zeros up to a multiple of 64
    values  vectors float32 (n, d), document offsets int64 (n + 1,), documents as `Documents` holds them

The keys can be read without the values, so they carry a checksum of their own. That of the whole is its keeper's. The
zeros let the vectors be used where they are, without a copy.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..database.index_rows import IndexRow
from ..models.vector import MAX_DIMENSION
from .columns import Columns
from .documents import Documents
from .first_pass import is_bounded
from .metrics import squared_norms

SEGMENT_ROWS = 8192
"""The most rows that a segment is meant to have: 16 MiB of vectors of 512 dimensions."""

_MAGIC = b"K9SEGM1\n"
_HEAD = struct.Struct("<8sIIIQQ")
_UNCHECKED_BYTES = 12
"""The magic and the checksum itself."""

_ALIGNMENT = 64

_INT64, _FLOAT32 = np.dtype("<i8"), np.dtype("<f4")
_COMMA, _OPENING, _CLOSING = b",{}"
_BYTES_PER_ID = 200
"""A str of some forty characters, its place in the list and its entry in the dictionary of rows."""

_BYTES_PER_ROW = 28
"""Its time, its norm, the square and the reciprocal of that."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Mask = npt.NDArray[np.bool_]


class CorruptSegment(ValueError):
    """These bytes are not exactly what `Segment.to_bytes` makes."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What tells the rows of a segment apart: ids, and times in microseconds since 1970, int64 (n,)."""

    ids: list[str]
    updated_at: npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Segment:
    """n rows of one dimension d; nothing in it changes, so threads may share it.

    What follows from the rows is made on first use and kept.
    """

    ids: list[str]
    """n distinct product ids."""

    updated_at: npt.NDArray[np.int64]
    """(n,), microseconds since 1970, UTC."""

    vectors: npt.NDArray[np.float32]
    """(n, d), C order, as stored (not normalised); every one finite and not all zero."""

    documents: Documents
    """n products."""

    squares: npt.NDArray[np.float64]
    """(n,), the squared Euclidean norms."""

    rest_bytes: int = 0
    """Bytes of an object in memory that `vectors` is a view of, without those of the vectors."""

    @classmethod
    def of(cls, rows: Sequence[IndexRow], dimension: int) -> "Segment":
        """These rows, in this order.

        Raises ValueError for ids that repeat, a deleted row, and a vector that `is_usable` refuses.
        """
        ids = [row.product_id for row in rows]
        vectors = [row.vector for row in rows if row.vector is not None]
        if len(vectors) != len(rows) or any(len(vector) != dimension * _FLOAT32.itemsize for vector in vectors):
            raise ValueError(f"every row needs a vector of {dimension} dimensions")
        times = np.array([microseconds(row.updated_at) for row in rows], dtype=np.int64)
        matrix = np.frombuffer(b"".join(vectors), _FLOAT32).reshape(-1, dimension)
        return cls._checked(ids, times, matrix, Documents.of([row.product for row in rows]))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Segment":
        """The segment that `to_bytes` made these of. Raises CorruptSegment for anything that it cannot have made.

        `vectors` is a view that keeps `data` in memory, unless they are the smaller part of it.
        """
        head = _Head.of(data)
        if len(data) != head.total_bytes:
            raise CorruptSegment(f"has {len(data)} bytes and names {head.total_bytes}")
        keys = keys_of(data)
        vectors = np.frombuffer(data, _FLOAT32, head.rows * head.dimension, head.keys_bytes).reshape(-1, head.dimension)
        rest_bytes = len(data) - vectors.nbytes
        if rest_bytes > vectors.nbytes:
            vectors, rest_bytes = vectors.copy(), 0
        try:
            return cls._checked(keys.ids, keys.updated_at, vectors, _documents_of(data, head), rest_bytes)
        except ValueError as error:
            raise CorruptSegment(str(error)) from error

    @classmethod
    def _checked(
        cls,
        ids: list[str],
        times: npt.NDArray[np.int64],
        vectors: npt.NDArray[np.float32],
        documents: Documents,
        rest_bytes: int = 0,
    ) -> "Segment":
        if len(set(ids)) != len(ids):
            raise ValueError("an id repeats")
        squares = squared_norms(vectors)
        if not (np.isfinite(squares) & (squares > 0)).all():
            raise ValueError("a vector is all zero or not finite")
        return cls(ids, times, vectors, documents, squares, rest_bytes)

    def to_bytes(self) -> bytes:
        """This segment as the bytes that the head of this file describes."""
        names = [name.encode() for name in self.ids]
        offsets = np.cumsum([0, *map(len, names)], dtype=_INT64)
        times = self.updated_at.astype(_INT64, copy=False).tobytes()
        head = _Head(self.dimension, len(self), int(offsets[-1]), len(self.documents.blob))
        keys = b"".join([offsets.tobytes(), times, *names, bytes(head.keys_bytes - head.ids_end)])
        vectors = self.vectors.astype(_FLOAT32, copy=False).tobytes()
        return b"".join([head.pack(keys), keys, vectors, self.documents.offsets.tobytes(), self.documents.blob])

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def dimension(self) -> int:
        return int(self.vectors.shape[1])

    @cached_property
    def norms(self) -> npt.NDArray[np.float64]:
        """(n,), the Euclidean norms."""
        norms: npt.NDArray[np.float64] = np.sqrt(self.squares)
        return norms

    @cached_property
    def reciprocals(self) -> npt.NDArray[np.float32]:
        """(n,), those of the norms, which float32 can hold where `is_bounded`."""
        return (1 / self.norms).astype(np.float32)

    @cached_property
    def is_bounded(self) -> bool:
        """Whether a first pass can tell which rows need an exact score (`first_pass.is_bounded`)."""
        return is_bounded(self.norms)

    @cached_property
    def columns(self) -> Columns:
        """The documents as filters look at them."""
        return Columns(self.documents)

    def drop_columns(self) -> None:
        """Let go of the columns, which take memory and are made again where they are needed."""
        self.__dict__.pop("columns", None)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, those of what is yet to be made on first use included (but of columns only what is made)."""
        keys_and_norms = len(self) * (_BYTES_PER_ID + _BYTES_PER_ROW)
        vectors = self.vectors.nbytes + self.rest_bytes
        return keys_and_norms + vectors + self.documents.nbytes + self.columns.nbytes

    def row_of(self, product_id: str) -> int | None:
        """Where this product is, 0 <= row < n, or None."""
        return self._rows.get(product_id)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self.ids)}

    def select(self, rows: npt.NDArray[np.intp]) -> "Segment":
        """A new segment of these rows, in this order."""
        ids = [self.ids[row] for row in rows.tolist()]
        documents = self.documents.select(rows.tolist())
        return Segment(ids, self.updated_at[rows], self.vectors[rows], documents, self.squares[rows])


def merge(parts: Sequence[tuple[Segment, Mask | None]]) -> Segment:
    """One segment of the live rows of all parts, in order; a mask (n,) is true where a row lives, None where all do.

    No id may live in two parts. Raises ValueError for no parts and for parts of several dimensions.
    """
    segments = [part if live is None or live.all() else part.select(np.flatnonzero(live)) for part, live in parts]
    return Segment(
        [name for segment in segments for name in segment.ids],
        np.concatenate([segment.updated_at for segment in segments]),
        np.concatenate([segment.vectors for segment in segments]),
        Documents.join([segment.documents for segment in segments]),
        np.concatenate([segment.squares for segment in segments]),
    )


def is_usable(vector: bytes, dimension: int) -> bool:
    """Whether this is a vector of that dimension, finite and not all zero; others cannot be in a segment."""
    if len(vector) != dimension * _FLOAT32.itemsize:
        return False
    components = np.frombuffer(vector, _FLOAT32)
    return bool(np.isfinite(components).all() and components.any())


def microseconds(updated_at: str) -> int:
    """Microseconds since 1970 of a text of `models.fields.timestamp`. Raises ValueError for what is no time."""
    return (datetime.fromisoformat(updated_at) - _EPOCH) // _MICROSECOND


def keys_bytes_of(head: bytes) -> int:
    """How many of a segment's first bytes are its keys, told by its first 36 or more. Raises CorruptSegment."""
    return _Head.of(head).keys_bytes


def keys_of(data: bytes) -> Keys:
    """The keys alone, of a segment's first `keys_bytes_of` bytes or of more. Raises CorruptSegment."""
    head = _Head.of(data)
    keys = data[: head.keys_bytes]
    if len(keys) != head.keys_bytes or zlib.crc32(keys[_UNCHECKED_BYTES:]) != head.checksum:
        raise CorruptSegment("the keys are not as they were written")
    if any(keys[head.ids_end :]):
        raise CorruptSegment("the keys do not end in zeros")
    offsets = np.frombuffer(keys, _INT64, head.rows + 1, _HEAD.size)
    _require_offsets(offsets, head.id_bytes)
    times = np.frombuffer(keys, _INT64, head.rows, _HEAD.size + offsets.nbytes)
    return Keys(_ids_of(keys[head.ids_end - head.id_bytes : head.ids_end], offsets.tolist()), times.copy())


@dataclass(frozen=True, slots=True)
class _Head:
    dimension: int
    rows: int
    id_bytes: int
    document_bytes: int
    checksum: int = 0

    @classmethod
    def of(cls, data: bytes) -> "_Head":
        if len(data) < _HEAD.size:
            raise CorruptSegment("is shorter than a head")
        magic, checksum, dimension, rows, id_bytes, document_bytes = _HEAD.unpack_from(data)
        if magic != _MAGIC or not 1 <= dimension <= MAX_DIMENSION:
            raise CorruptSegment("does not begin as a segment does")
        return cls(dimension, rows, id_bytes, document_bytes, checksum)

    def pack(self, keys: bytes) -> bytes:
        fields = self.dimension, self.rows, self.id_bytes, self.document_bytes
        checksum = zlib.crc32(keys, zlib.crc32(_HEAD.pack(_MAGIC, 0, *fields)[_UNCHECKED_BYTES:]))
        return _HEAD.pack(_MAGIC, checksum, *fields)

    @property
    def ids_end(self) -> int:
        return _HEAD.size + (2 * self.rows + 1) * _INT64.itemsize + self.id_bytes

    @property
    def keys_bytes(self) -> int:
        return self.ids_end + -self.ids_end % _ALIGNMENT

    @property
    def documents_start(self) -> int:
        return self.keys_bytes + self.rows * self.dimension * _FLOAT32.itemsize

    @property
    def total_bytes(self) -> int:
        return self.documents_start + (self.rows + 1) * _INT64.itemsize + self.document_bytes


def _ids_of(text: bytes, offsets: list[int]) -> list[str]:
    try:
        return [text[start:end].decode() for start, end in pairwise(offsets)]
    except UnicodeDecodeError as error:
        raise CorruptSegment("an id is not UTF-8") from error


def _documents_of(data: bytes, head: _Head) -> Documents:
    offsets = np.frombuffer(data, _INT64, head.rows + 1, head.documents_start)
    blob = data[head.total_bytes - head.document_bytes :]
    _require_offsets(offsets, len(blob) + 1 if head.rows else 0)
    _require_objects(np.frombuffer(blob, np.uint8), offsets)
    try:
        blob.decode()
    except UnicodeDecodeError as error:
        raise CorruptSegment("a document is not UTF-8") from error
    return Documents(blob, offsets.copy())


def _require_offsets(offsets: npt.NDArray[np.int64], end: int) -> None:
    # Compared, not subtracted: between numbers that are no offsets, a difference may overflow, and look like a step up.
    if offsets[0] != 0 or offsets[-1] != end or (offsets[1:] < offsets[:-1]).any():
        raise CorruptSegment("the offsets do not lead from the first byte to the last")


def _require_objects(text: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> None:
    """Each document must be in braces, with a comma between it and the next; what is inside is not parsed."""
    if len(offsets) == 1:
        if len(text):
            raise CorruptSegment("has documents of no row")
        return
    shortest = len("{},")
    if (np.diff(offsets) < shortest).any():
        raise CorruptSegment("a document is too short for an object")
    in_braces = (text[offsets[:-1]] == _OPENING) & (text[offsets[1:] - 2] == _CLOSING)
    if not in_braces.all() or not (text[offsets[1:-1] - 1] == _COMMA).all():
        raise CorruptSegment("a document is not an object")
