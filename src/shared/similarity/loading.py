"""Reading an index: the newest snapshot, and what the table says has changed since; or the whole table."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from itertools import chain

from ..database.embeddings import EmbeddingRepository
from ..database.parallel import run_all, values_of
from ..models.fields import now, parse_timestamp
from .asking import SNAPSHOT_ROWS, Key
from .index import ModelIndex, Part, StreamedPart
from .manifest import Manifest, SegmentRef
from .objects import ObjectStore
from .segment import CorruptSegment
from .snapshot import SnapshotStore, reread_from

REBUILD_AFTER = timedelta(hours=6)
"""A snapshot, or an index in memory, goes so long without a read of the whole table; a row that reached the table's
index later than OVERLAP is missed no longer than twice that."""

_SIZE_IN_MEMORY = 1.25
"""Of a segment, by its size in S3: all of it is kept, and its ids and documents once more."""

_LOADED_AT_ONCE = 4
"""Each takes up to twice its size while it is taken apart."""


class TooLarge(Exception):
    """The index does not fit into the memory that it may have."""

    def __init__(self, *, can_be_streamed: bool) -> None:
        super().__init__("the index is larger than its share of memory")
        self.can_be_streamed = can_be_streamed


class Loader:
    """Reads the indexes of one table and bucket. `limit` is what one may take of memory, in bytes."""

    def __init__(self, objects: ObjectStore, repository: EmbeddingRepository, limit: int) -> None:
        self._objects = objects
        self._repository = repository
        self._limit = limit

    def load(
        self, key: Key, dimension: int, wants: Callable[[bool], None], room: Callable[[int], None], *, streamed: bool
    ) -> tuple[ModelIndex, int]:
        """The index as the table is now, and how many of its rows no snapshot has.

        Where there is a snapshot to rely on, its segments are loaded, or `streamed` at each search where they do not
        fit. `wants` is called where the next snapshot is due, with whether it must be a full one, and `room` with the
        bytes that are about to be needed. Raises TooLarge, or Unavailable and TooManyRequests as the table and the
        bucket do.
        """
        store = SnapshotStore(self._objects, *key)
        manifest = self._usable_manifest(store, dimension, wants)
        if manifest is None:
            return self.refresh(key, ModelIndex(dimension), 0, wants, room)
        if store.clock() - parse_timestamp(manifest.complete_at) > REBUILD_AFTER:
            wants(True)
        try:
            return self._load_snapshot(key, store, manifest, wants, room, streamed=streamed)
        except CorruptSegment as error:
            store.warn("a snapshot is ignored", reason=str(error))
            wants(True)
            return self.refresh(key, ModelIndex(dimension), 0, wants, room)

    def refresh(
        self, key: Key, index: ModelIndex, unsaved: int, wants: Callable[[bool], None], room: Callable[[int], None]
    ) -> tuple[ModelIndex, int]:
        """The index with what changed since its watermark; `unsaved` of its rows are in no snapshot. Raises as `load`.

        A snapshot is asked for as soon as it is due: there may be no time for it after the last row.
        """
        began, watermark = now(), index.watermark
        since = reread_from(watermark) if watermark else None
        for rows in self._repository.changes_since(*key, since):
            index = index.with_changes(rows, watermark)
            unsaved += sum(row.updated_at >= watermark for row in rows)
            if unsaved >= max(SNAPSHOT_ROWS, len(index) // 10):
                wants(False)
            self._fit(index, can_be_streamed=bool(watermark))
            room(index.nbytes)
        return index.with_changes([], began), unsaved

    def _usable_manifest(self, store: SnapshotStore, dimension: int, wants: Callable[[bool], None]) -> Manifest | None:
        published = store.current()
        manifest = published.manifest
        if manifest is not None and manifest.dimension == dimension and store.is_reliable(manifest):
            return manifest
        if published.etag is not None:
            wants(True)
        return None

    def _load_snapshot(
        self,
        key: Key,
        store: SnapshotStore,
        manifest: Manifest,
        wants: Callable[[bool], None],
        room: Callable[[int], None],
        *,
        streamed: bool,
    ) -> tuple[ModelIndex, int]:
        if not streamed:
            size = int(sum(ref.size for ref in manifest.segments) * _SIZE_IN_MEMORY)
            if size > self._limit:
                raise TooLarge(can_be_streamed=True)
            room(size)
        parts = _streamed_parts(store, manifest) if streamed else _loaded_parts(store, manifest)
        index = ModelIndex(manifest.dimension, parts, manifest.watermark)
        self._fit(index, can_be_streamed=not streamed)
        return self.refresh(key, index, 0, wants, room)

    def _fit(self, index: ModelIndex, *, can_be_streamed: bool) -> None:
        if index.nbytes > self._limit:
            index.drop_columns()
        if index.nbytes > self._limit:
            raise TooLarge(can_be_streamed=can_be_streamed)


def _streamed_parts(store: SnapshotStore, manifest: Manifest) -> tuple[StreamedPart, ...]:
    return tuple(StreamedPart(partial(store.segment, ref), ref.rows, ref.dead_rows) for ref in manifest.segments)


def _loaded_parts(store: SnapshotStore, manifest: Manifest) -> tuple[Part, ...]:
    refs = manifest.segments
    chunks = [refs[start : start + _LOADED_AT_ONCE] for start in range(0, len(refs), _LOADED_AT_ONCE)]
    outcomes = (run_all([partial(_read_part, store, ref) for ref in chunk]) for chunk in chunks)
    return tuple(values_of(chain.from_iterable(outcomes)))


def _read_part(store: SnapshotStore, ref: SegmentRef) -> Part:
    return Part(store.segment(ref), ref.dead_rows)
