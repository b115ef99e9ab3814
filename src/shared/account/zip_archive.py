"""A ZIP archive (PKWARE's APPNOTE 6.3.10) that is written entry by entry, by one process after another.

All that has to be remembered between two entries is their names, sizes, checksums and places; the standard library's
writer keeps more than can be handed on. Every entry is compressed in memory, so that its sizes stand before it, and no
reader has to look for its end.
"""

import hashlib
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import NonNegativeInt

_STORED_VERSION, _ZIP64_VERSION = 20, 45
_UTF8_NAMES = 1 << 11
_DEFLATED = 8
_EARLIEST_DATE = (1 << 5) | 1
"""1 January 1980: every archive of the same entries is the same; what is in them tells its times."""

_MOST_32, _MOST_16 = 0xFFFFFFFF, 0xFFFF
_PLAIN_FILE = 0o100600 << 16
_MADE_ON_UNIX = 3 << 8


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the archive; `offset` is where it begins. `lines` is how many rows it holds."""

    name: str
    offset: NonNegativeInt
    size: NonNegativeInt
    compressed: NonNegativeInt
    crc32: NonNegativeInt
    sha256: str
    lines: NonNegativeInt


def make_entry(name: str, body: bytes, offset: int, lines: int) -> tuple[Entry, bytes]:
    """A file as an entry that begins at `offset`, and its bytes. It must be smaller than 4 GB."""
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(body) + packer.flush()
    entry = Entry(name, offset, len(body), len(packed), zlib.crc32(body), hashlib.sha256(body).hexdigest(), lines)
    title = name.encode()
    header = struct.pack(
        "<4s5H3L2H",
        b"PK\x03\x04",
        _STORED_VERSION,
        _UTF8_NAMES,
        _DEFLATED,
        0,
        _EARLIEST_DATE,
        entry.crc32,
        entry.compressed,
        entry.size,
        len(title),
        0,
    )
    return entry, header + title + packed


def make_directory(entries: Sequence[Entry], offset: int) -> bytes:
    """The central directory, which begins at `offset` and ends the archive; in the ZIP64 form where it has to be."""
    directory = b"".join(map(_directory_entry, entries))
    end = struct.pack(
        "<4s4H2LH",
        b"PK\x05\x06",
        0,
        0,
        min(len(entries), _MOST_16),
        min(len(entries), _MOST_16),
        min(len(directory), _MOST_32),
        min(offset, _MOST_32),
        0,
    )
    if len(entries) < _MOST_16 and len(directory) < _MOST_32 and offset < _MOST_32:
        return directory + end
    return directory + _zip64_end(len(entries), len(directory), offset) + end


def _directory_entry(entry: Entry) -> bytes:
    is_far = entry.offset >= _MOST_32
    extra = struct.pack("<2HQ", 1, 8, entry.offset) if is_far else b""
    title = entry.name.encode()
    header = struct.pack(
        "<4s6H3L5H2L",
        b"PK\x01\x02",
        _MADE_ON_UNIX | (_ZIP64_VERSION if is_far else _STORED_VERSION),
        _ZIP64_VERSION if is_far else _STORED_VERSION,
        _UTF8_NAMES,
        _DEFLATED,
        0,
        _EARLIEST_DATE,
        entry.crc32,
        entry.compressed,
        entry.size,
        len(title),
        len(extra),
        0,
        0,
        0,
        _PLAIN_FILE,
        min(entry.offset, _MOST_32),
    )
    return header + title + extra


def _zip64_end(count: int, size: int, offset: int) -> bytes:
    record = struct.pack(
        "<4sQ2H2L4Q",
        b"PK\x06\x06",
        44,
        _MADE_ON_UNIX | _ZIP64_VERSION,
        _ZIP64_VERSION,
        0,
        0,
        count,
        count,
        size,
        offset,
    )
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, offset + size, 1)
