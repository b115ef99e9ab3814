"""Stored similarity matrices: a status, a table of ids and rows, of which any may be damaged."""

import hashlib
import json
import struct
import zlib
from functools import lru_cache
from random import Random
from typing import Any

from shared.errors import NotFound, Unavailable
from shared.similarity.matrix import IdTables, MatrixStore
from shared.similarity.matrix_rows import IdTable
from shared.similarity.matrix_status import CorruptStatus, MatrixStatus

from . import json_mutation
from .manifests import Objects
from .target import Raw, Target

_FOLDER = "0" * 36 + "/" + "1" * 36
_TIME = "2026-01-01T00:00:00.000000Z"
_IDS = ["a", "b", "product 3/\u00fc", "z" * 20]
_K = 3
_SCORES = {0: [(1, 0.9), (3, 0.5)], 1: [(0, 0.9), (2, -0.25), (3, -1.0)], 2: [(1, -0.25)], 3: []}
_HEAD = struct.Struct("<HH")
"""Bytes of the status and of the ids, at an input's beginning; what follows them are the rows."""


def check(data: bytes) -> str:
    """Whatever the three objects hold, a product (one for each input) has the neighbours that were written, or none."""
    status, ids, rows = _split(data)
    objects = Objects()
    folder = "similarity/alice/v1/matrix/"
    objects.bodies = {
        f"{folder}status.json": status,
        f"{folder}{_FOLDER}/ids": ids,
        f"{folder}{_FOLDER}/rows-00000": rows,
    }
    store = MatrixStore(objects, "alice", "v1", clock=lambda: _TIME, tables=IdTables())
    is_readable = _check_status(status)
    is_forged = ids != _ids() and hashlib.sha256(ids).hexdigest().encode() in status
    answer = _answer(store, zlib.crc32(data) % len(_IDS), is_forged=is_forged)
    return answer if is_readable else "refused: status"


def _check_status(body: bytes) -> bool:
    try:
        status = MatrixStatus.from_bytes(body)
    except CorruptStatus:
        return False
    assert MatrixStatus.from_bytes(status.to_bytes()) == status
    assert isinstance(status.is_under_way(_TIME), bool)
    assert status.k is None or 1 <= status.k <= 100
    return True


def _answer(store: MatrixStore, number: int, *, is_forged: bool) -> str:
    """A table that is forged together with its digest, as nothing but an attacker does it, may say anything."""
    try:
        row = store.read_row(_IDS[number])
    except NotFound:
        return "refused: no matrix"
    except Unavailable:
        return "refused: damaged"
    if is_forged:
        return "refused: damaged"
    assert row is not None, "a product of the matrix is not in it"
    expected = [(_IDS[other], score) for other, score in _SCORES[number]]
    assert [(found.product_id, found.score) for found in row.neighbours] == expected, "these are not the neighbours"
    return "accepted"


def _split(data: bytes) -> tuple[bytes, bytes, bytes]:
    sizes = _HEAD.unpack_from(data) if len(data) >= _HEAD.size else (0, 0)
    first = _HEAD.size + sizes[0]
    second = first + sizes[1]
    return data[_HEAD.size : first], data[first:second], data[second:]


def _joined(status: bytes, ids: bytes, rows: bytes) -> bytes:
    return _HEAD.pack(min(len(status), 0xFFFF), min(len(ids), 0xFFFF)) + status + ids + rows


def _rows() -> bytes:
    parts = []
    for number in range(len(_IDS)):
        entries = [*_SCORES[number], *[(2**32 - 1, 0.0)] * _K][:_K]
        packed = b"".join(struct.pack("<Id", *entry) for entry in entries)
        parts.append(packed + struct.pack("<I", zlib.crc32(packed, number)))
    return b"".join(parts)


def _status(**changes: Any) -> bytes:
    matrix = {
        "build_id": "0" * 36,
        "folder": _FOLDER,
        "k": _K,
        "rows": len(_IDS),
        "rows_per_object": 1000,
        "ids_digest": hashlib.sha256(_ids()).hexdigest(),
        "built_at": _TIME,
        "watermark": _TIME,
        "newest": None,
    }
    return json.dumps({"state": "done", "k": _K, "rows": 4, "current": matrix, "format": 1, **changes}).encode()


@lru_cache(maxsize=1)
def _ids() -> bytes:
    return IdTable.of(_IDS).data


def _seeds() -> list[bytes]:
    statuses = [
        _status(),
        _status(state="running", heartbeat_at=_TIME, requested_at=_TIME, attempt="x"),
        _status(current=None),
        _status(state="queued", requested_at=_TIME, error="e"),
        _status(k=101),
        b"null",
    ]
    joined = [_joined(status, _ids(), _rows()) for status in statuses]
    return [*joined, _joined(_status(), _ids()[:-1], _rows()), _joined(_status(), _ids(), _rows()[:50]), b""]


_NAMES = (
    "state",
    "build_id",
    "k",
    "rows",
    "current",
    "format",
    "folder",
    "rows_per_object",
    "ids_digest",
    "built_at",
    "heartbeat_at",
)
_VALUES = (
    *(
        '"done"',
        '"running"',
        '"queued"',
        '"absent"',
        "1",
        "2",
        "100",
        "101",
        "4",
        f'"{_TIME}"',
        f'"{_FOLDER}"',
        '"2026-1-1T0:0:0.0Z"',
    ),
    f'"{_FOLDER}\\n"',
    '"../"',
)


_VOCABULARY = json_mutation.Vocabulary(_NAMES, _VALUES, [_status()])


def _mutate(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    parts = list(_split(data))
    if source.random() < 0.7:
        parts[0] = json_mutation.mutate(parts[0], source, raw, longest, _VOCABULARY)
    elif source.random() < 0.5:
        parts[1:] = [_ids(), _rows()]
    else:
        place = source.randrange(3)
        parts[place] = raw(parts[place], longest // 2)
    return _joined(*parts)


MATRICES = Target(
    "matrix",
    ("refused: status", "refused: no matrix", "refused: damaged", "accepted"),
    check,
    _mutate,
    _seeds,
    runs=400_000,
    max_length=3072,
    words=(b'"current"', b'"k"'),
)
