"""Manifests of snapshots: the text, under a digest that holds and under one that does not, and what it names."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from random import Random
from typing import Any

from shared.database.index_rows import IndexRow
from shared.models.fields import timestamp
from shared.similarity.manifest import CorruptManifest, Manifest, SegmentRef
from shared.similarity.objects import ObjectChanged, ObjectInfo, ObjectStore, StoredObject
from shared.similarity.segment import CorruptSegment, Segment
from shared.similarity.snapshot import SnapshotStore, reread_from

from . import json_mutation
from .target import Raw, Target

_NOW = datetime(2026, 1, 2, tzinfo=UTC)
_TIME = "2026-01-01T00:00:00.000000Z"
_FRAMED = b'{"digest"'


class Objects(ObjectStore):
    """A bucket that holds what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.bodies: dict[str, bytes] = {}

    def get(self, key: str, byte_range: tuple[int, int] | None = None, etag: str | None = None) -> StoredObject | None:
        body = self.bodies.get(key)
        if body is None:
            return None
        start, stop = byte_range or (0, len(body))
        if byte_range and start >= len(body):
            raise ObjectChanged
        return StoredObject(body[start:stop], '"an etag"')

    def put(self, key: str, body: bytes, **conditions: Any) -> str:
        self.bodies[key] = body
        return '"an etag"'

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        return iter(())


def check(data: bytes) -> str:
    """What reads is consistent, and its segments are those that were put, or are refused."""
    store, objects, segments = _scene()
    objects.bodies["similarity/alice/v1/manifest.json"] = data if data.startswith(_FRAMED) else framed(data)
    try:
        manifest = Manifest.from_bytes(objects.bodies["similarity/alice/v1/manifest.json"])
    except CorruptManifest:
        return "refused: digest" if data.startswith(_FRAMED) else "refused"
    _check_consistent(manifest)
    used = store.read()
    if used is None:
        return "accepted: too old to be used"
    # An id that is not there is made up anew each time; nothing goes by it.
    assert used.model_copy(update={"id": manifest.id}) == manifest
    reread_from(manifest.watermark)
    found = [_segment(store, ref, segments) for ref in manifest.segments]
    return "accepted" if all(found) else "accepted: a segment is missing"


def _check_consistent(manifest: Manifest) -> None:
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    assert len(manifest.names) == len(manifest.segments), "a segment is named twice"
    assert timestamp(manifest.watermark_time) == manifest.watermark, "a time is written otherwise than ours are"
    assert 1 <= manifest.dimension <= 4096
    assert manifest.live_count >= 0
    for ref in manifest.segments:
        dead = ref.dead_rows
        assert dead is None or dead.shape == (ref.rows,), "a mask is not of the rows"
        assert 0 <= ref.live_count <= ref.rows


def _segment(store: SnapshotStore, ref: SegmentRef, segments: dict[str, Segment]) -> bool:
    """Whether the segment can be read; if so it is the one that was put, with as many rows as are named."""
    _keys(store, ref, segments)
    try:
        segment = store.segment(ref)
    except CorruptSegment:
        return False
    assert segment.to_bytes() == segments[ref.name].to_bytes()
    assert len(segment) == ref.rows, "a segment has other rows than its manifest says"
    return True


def _keys(store: SnapshotStore, ref: SegmentRef, segments: dict[str, Segment]) -> None:
    try:
        keys = store.keys(ref)
    except CorruptSegment:
        return
    assert keys.ids == segments[ref.name].ids
    assert len(keys.ids) == ref.rows


def framed(text: bytes) -> bytes:
    return b'{"digest":"%b","manifest":%b}' % (hashlib.sha256(text).hexdigest().encode(), text)


@lru_cache(maxsize=1)
def _scene() -> tuple[SnapshotStore, Objects, dict[str, Segment]]:
    """A bucket with two segments, under names that do not change."""
    objects = Objects()
    segments = {f"{number:032x}": _made(rows) for number, rows in ((1, 3), (2, 9))}
    for name, segment in segments.items():
        objects.bodies[f"similarity/alice/v1/segments/{name}"] = segment.to_bytes()
    return SnapshotStore(objects, "alice", "v1", lambda: _NOW), objects, segments


def _made(rows: int) -> Segment:
    vector = Segment.of([], 2).vectors.tobytes() or b"\0\0\x80\x3f\0\0\0\x40"
    return Segment.of([IndexRow(f"product {row} of {rows}", _TIME, vector, {"row": row}) for row in range(rows)], 2)


def _document() -> dict[str, Any]:
    store, _, segments = _scene()
    refs = []
    for name, segment in segments.items():
        put = store.add(segment)
        refs.append(put.model_copy(update={"name": name}).model_dump())
    refs[1]["dead"] = "AwA="
    return {
        "format": 1,
        "id": "an id",
        "dimension": 2,
        "watermark": _TIME,
        "complete_at": _TIME,
        "newest": None,
        "segments": refs,
        "retired": [{"name": "f" * 32, "at": _TIME}],
        "skipped": 0,
    }


def _seeds() -> list[bytes]:
    document = _document()
    changed: list[dict[str, Any]] = [
        {**document, "segments": []},
        {**document, "segments": document["segments"][:1] * 2},
        {**document, "segments": [{**document["segments"][0], "name": "e" * 32}]},
        {**document, "watermark": "2025-01-01T00:00:00.000000Z"},
        {**document, "newest": _TIME, "format": 2},
        {**document, "retired": []},
    ]
    good = json.dumps(document).encode()
    return [good, *(json.dumps(each).encode() for each in changed), framed(good), framed(good)[:-2] + b" }", b"[]"]


_NAMES = (
    "format",
    "id",
    "dimension",
    "watermark",
    "complete_at",
    "newest",
    "segments",
    "retired",
    "skipped",
    "name",
    "rows",
    "dead",
    "size",
    "at",
)
_VALUES = (
    *(
        '"AwA="',
        '"AA=="',
        '"A"',
        '"////"',
        '"2026-01-01T00:00:00.000000Z"',
        '"2026-1-1T0:0:0.0Z"',
        '"2026-01-01t00:00:00.1z"',
    ),
    *(
        '"0001-01-01T00:00:00.000000Z"',
        '"9999-12-31T23:59:59.999999Z"',
        '"2026-02-30T00:00:00.000000Z"',
        "2",
        "4097",
        "1e0",
    ),
    *(f'"{number:032x}"' for number in (1, 2, 3)),
)


@lru_cache(maxsize=1)
def _vocabulary() -> json_mutation.Vocabulary:
    return json_mutation.Vocabulary(_NAMES, _VALUES, _seeds()[:2])


def _mutate(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    """Mostly the text under a digest that holds; with one that does not, once in a while."""
    if data.startswith(_FRAMED) and source.random() < 0.5:
        return raw(data, longest)
    return json_mutation.mutate(data, source, raw, longest, _vocabulary())


MANIFESTS = Target(
    "manifest",
    (*("refused: digest", "refused", "accepted: too old to be used", "accepted: a segment is missing", "accepted"),),
    check,
    _mutate,
    _seeds,
    runs=600_000,
    words=(b'"dead"', b"AwA=", b"000000Z"),
)
