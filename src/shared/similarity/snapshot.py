"""Snapshots of one model version in S3: a manifest, replaced as a whole, that names segments, which never change.

    {prefix}manifest.json      put on the condition that nobody else put one since it was read
    {prefix}segments/{name}    put under a new name, before the manifest that names it

So a reader sees all of a snapshot or an older one. A segment that no manifest names any more outlives the last one that
did by GRACE, since a reader may still be at it.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from ..database.embeddings import TOMBSTONE_SECONDS
from ..models.fields import parse_timestamp, shifted
from ..telemetry import digest, log_warning
from .manifest import CorruptManifest, Manifest, SegmentRef
from .objects import ObjectChanged, ObjectStore, StoredObject, object_prefix
from .segment import CorruptSegment, Keys, Segment, keys_bytes_of, keys_of

OVERLAP = timedelta(seconds=10)
"""How much later than its `updated_at` a write may show up in the index: the longest that a write takes, clock skew and
the index's lag. A read of what is new since a watermark begins so much before it."""

MAX_AGE = timedelta(seconds=TOMBSTONE_SECONDS) - timedelta(days=1)
"""A snapshot of an earlier watermark may miss deletions, since the rows that tell of them are gone, and is ignored."""

GRACE = timedelta(hours=1)

_OTHER_ROWS = "has not as many rows as the manifest says"


def reread_from(watermark: str) -> str:
    """From which `updated_at` on the table has to be read again, after a read that began at `watermark`."""
    return shifted(watermark, -OVERLAP)


@dataclass(frozen=True, slots=True)
class Published:
    """What is under the manifest's key: `manifest` None where it cannot be read, `etag` None where nothing is there."""

    manifest: Manifest | None
    etag: str | None


class SnapshotStore:
    """The snapshots of one (owner, model version); `clock` gives the time, in UTC.

    Every method raises what ObjectStore raises: TooManyRequests, Unavailable, or an AWS error as it is.
    """

    def __init__(
        self,
        objects: ObjectStore,
        owner: str,
        model_version: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Raises ValueError for a pair that no key can hold (`objects.object_prefix`)."""
        self._objects = objects
        self._prefix = object_prefix(owner, model_version)
        self._whose = {"owner": digest(owner), "model_version": digest(model_version)}
        self.clock = clock

    def read(self) -> Manifest | None:
        """The manifest to search with; None where there is none, or none to rely on."""
        manifest = self.current().manifest
        return manifest if manifest is not None and self.is_reliable(manifest) else None

    def current(self) -> Published:
        """The manifest whatever its age, and what the next has to replace. A corrupt one is None, and logged."""
        stored = self._objects.get(self._manifest_key)
        if stored is None:
            return Published(None, None)
        try:
            return Published(Manifest.from_bytes(stored.body), stored.etag)
        except CorruptManifest as error:
            self.warn("a manifest is corrupt", reason=str(error))
            return Published(None, stored.etag)

    def is_reliable(self, manifest: Manifest) -> bool:
        """Whether what is newer than the watermark, read from the table, makes the snapshot complete.

        Not where deletions may be gone by now, nor where the watermark is of a clock that was wrong.
        """
        age = self.clock() - manifest.watermark_time
        if age < -OVERLAP:
            self.warn("a manifest is of the future", seconds=-age.total_seconds())
        return -OVERLAP <= age <= MAX_AGE

    def segment(self, ref: SegmentRef) -> Segment:
        """The segment, dead rows included. Raises CorruptSegment where it is not what was put, or gone."""
        body = self._bytes_of(ref, self._objects.get(self._key(ref.name)))
        if len(body) != ref.size or zlib.crc32(body) != ref.crc32:
            raise CorruptSegment("is not what the manifest says of it")
        segment = Segment.from_bytes(body)
        if len(segment) != ref.rows:
            raise CorruptSegment(_OTHER_ROWS)
        return segment

    def keys(self, ref: SegmentRef) -> Keys:
        """The segment's ids and times, without reading the rest. Raises CorruptSegment as `segment` does."""
        try:
            stored = self._objects.get(self._key(ref.name), (0, ref.keys_bytes))
        except ObjectChanged as error:
            raise CorruptSegment("is shorter than its keys") from error
        keys = keys_of(self._bytes_of(ref, stored))
        if len(keys.ids) != ref.rows:
            raise CorruptSegment(_OTHER_ROWS)
        return keys

    def add(self, segment: Segment) -> SegmentRef:
        """Put a segment under a new name, for a manifest that is yet to be published."""
        body = segment.to_bytes()
        name = uuid4().hex
        self._objects.put(self._key(name), body)
        return SegmentRef(
            name=name,
            rows=len(segment),
            size=len(body),
            keys_bytes=keys_bytes_of(body),
            crc32=zlib.crc32(body),
        )

    def drop(self, refs: Iterable[SegmentRef]) -> None:
        """Delete segments that no manifest ever named."""
        self._objects.delete(self._key(ref.name) for ref in refs)

    def publish(self, manifest: Manifest, base: Published) -> bool:
        """Put the manifest in place of `base`; False, and nothing done, where another has been put since.

        Raises OutcomeUnknown where it may have been put: then its segments have to stay.
        """
        try:
            self._objects.put(self._manifest_key, manifest.to_bytes(), if_match=base.etag, if_absent=base.etag is None)
        except ObjectChanged:
            return False
        return True

    def sweep(self) -> int:
        """Delete the segments that have not been needed for GRACE; returns how many.

        A build that takes less than that loses none: what it has put is younger, and what it builds on is in the
        manifest that it has to replace.
        """
        current = self.current()
        if current.manifest is None and current.etag is not None:
            return 0  # who can read it, a later release perhaps, may need any of them
        needed = self._needed(current.manifest) if current.manifest else set()
        limit = self.clock() - GRACE
        gone = [
            info.key
            for info in self._objects.list(f"{self._prefix}segments/")
            if info.modified < limit and info.key not in needed
        ]
        self._objects.delete(gone)
        return len(gone)

    def warn(self, message: str, **details: object) -> None:
        """Log something about these snapshots that was got over."""
        log_warning(message, **self._whose, **details)

    @property
    def _manifest_key(self) -> str:
        return f"{self._prefix}manifest.json"

    def _key(self, name: str) -> str:
        return f"{self._prefix}segments/{name}"

    def _needed(self, manifest: Manifest) -> set[str]:
        limit = self.clock() - GRACE
        lately = {retired.name for retired in manifest.retired if parse_timestamp(retired.at) >= limit}
        return {self._key(name) for name in manifest.names | lately}

    def _bytes_of(self, ref: SegmentRef, stored: StoredObject | None) -> bytes:
        if stored is None:
            raise CorruptSegment(f"segment {ref.name} is missing")
        return stored.body
