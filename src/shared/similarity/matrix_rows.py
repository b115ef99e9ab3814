"""The bytes of a stored matrix, all numbers little-endian. No numpy: a route that reads one row does not need it.

    ids         count n uint32, offsets uint32 (n + 1,) into what follows them, ids as UTF-8 one after the other, sorted
    rows-00000  rows 0 up to `rows_per_object`, and so on: in each k entries (row number uint32, score float64), nearest
                first, and CRC-32 of these, begun with the row's own number; entries that a row lacks have `NOBODY`

UTF-8 sorts as its code points do, so a product's row number is found by bisection without decoding the ids.
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from .matrix_status import CHECKSUM_BYTES, ENTRY_BYTES

NOBODY = 2**32 - 1
ENTRY = struct.Struct("<Id")
_NUMBER = struct.Struct("<I")
_SPAN = struct.Struct("<II")
_MAX_OBJECT_BYTES = 16 * 1024 * 1024


class CorruptMatrix(ValueError):
    """An object of a matrix is not what was written."""


@dataclass(frozen=True, slots=True)
class IdTable:
    """n sorted product ids in one piece of memory, as they are stored."""

    data: bytes

    @classmethod
    def read(cls, data: bytes) -> "IdTable":
        """The table that is stored so. Raises CorruptMatrix where none has this length.

        What else it holds is looked at as it is used.
        """
        if len(data) >= 2 * _NUMBER.size:
            table = cls(data)
            start = table._names_at
            if len(data) >= start and len(data) - start == _NUMBER.unpack_from(data, start - _NUMBER.size)[0]:
                return table
        raise CorruptMatrix("the id table is of another length")

    @classmethod
    def of(cls, ids: Sequence[str]) -> "IdTable":
        """The table of these ids, which are sorted. Raises ValueError for more than 4 GiB of them."""
        names = [product_id.encode() for product_id in ids]
        offsets = [0, *accumulate(map(len, names))]
        if offsets[-1] > NOBODY:
            raise ValueError("the ids are too long together")
        return cls(struct.pack(f"<{1 + len(offsets)}I", len(names), *offsets) + b"".join(names))

    def __len__(self) -> int:
        return int(_NUMBER.unpack_from(self.data)[0])

    def id(self, number: int) -> str:
        """The id of row `number`, 0 <= number < n. Raises CorruptMatrix for another."""
        if not 0 <= number < len(self):
            raise CorruptMatrix("a row names a row that is not there")
        try:
            return self._bytes(number).decode()
        except UnicodeDecodeError as error:
            raise CorruptMatrix("an id is no text") from error

    def number(self, product_id: str) -> int | None:
        """The row number of a product, or None. Raises CorruptMatrix for a table that cannot be."""
        wanted = product_id.encode("utf-8", "surrogatepass")
        low, high = 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._bytes(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self._bytes(low) == wanted else None

    def _bytes(self, number: int) -> bytes:
        start, stop = _SPAN.unpack_from(self.data, _NUMBER.size * (number + 1))
        names = self._names_at
        if not start <= stop <= len(self.data) - names:
            raise CorruptMatrix("an id ends before it begins, or after the table")
        return self.data[names + start : names + stop]

    @property
    def _names_at(self) -> int:
        return _NUMBER.size * (len(self) + 2)


def rows_per_object(k: int) -> int:
    """As many rows as fit into one object of 16 MiB: what is held in memory to write one."""
    return _MAX_OBJECT_BYTES // (k * ENTRY_BYTES + CHECKSUM_BYTES)


def seal(entries: bytes, number: int) -> bytes:
    """The row of these entries, with its checksum."""
    return entries + _NUMBER.pack(zlib.crc32(entries, number))


def open_row(row: bytes, number: int, row_bytes: int) -> list[tuple[int, float]]:
    """The row numbers and scores of a row's neighbours. Raises CorruptMatrix where it is not that row."""
    entries = row[:-CHECKSUM_BYTES]
    if len(row) != row_bytes or seal(entries, number) != row:
        raise CorruptMatrix("a row is not what was written")
    return [(neighbour, score) for neighbour, score in ENTRY.iter_unpack(entries) if neighbour != NOBODY]
