"""Building a snapshot: from the one before and what changed since, or from the whole table.

Memory holds the rows of one segment and the ids of all. Rows may come in any order and repeatedly; the newest of each
product wins, wherever an older one is.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

from ..database.index_rows import IndexRow
from ..errors import TooManyRequests, Unavailable
from ..models.fields import parse_timestamp, timestamp
from .manifest import Manifest, Retired, SegmentRef
from .segment import SEGMENT_ROWS, CorruptSegment, Mask, Segment, is_usable, merge, microseconds
from .snapshot import GRACE, Published, SnapshotStore, reread_from

Changes = Callable[[str | None], Iterator[list[IndexRow]]]
"""Pages of rows that changed at this time or later, in the order of `updated_at`; None asks for every row."""

LONGEST_BUILD = timedelta(minutes=45)
"""Sooner than GRACE: what is put first must not be swept before the manifest names it."""

_MANY_SMALL = 8
_ROW_BITS = 32
_BEFORE_ALL = np.iinfo(np.int64).min


class SnapshotBuilder:
    """Writes snapshots of one model version, whose vectors have `dimension` components.

    `progress` is told how many rows of the table have been read so far, after each page. `check` is called before each
    page and before the end; what it raises ends the build, and no reader notices.
    """

    def __init__(
        self,
        store: SnapshotStore,
        changes: Changes,
        dimension: int,
        *,
        progress: Callable[[int], None] = lambda rows: None,
        check: Callable[[], None] = lambda: None,
        segment_rows: int = SEGMENT_ROWS,
    ) -> None:
        self._store = store
        self._changes = changes
        self._dimension = dimension
        self._progress = progress
        self._check = check
        self._segment_rows = segment_rows

    def build(self, *, full: bool = False) -> Manifest | None:
        """The manifest that was published, or None where another was put first or the build took too long.

        It begins with the newest snapshot unless that cannot be relied on or `full` is asked for: only a full one
        finds rows that showed up later than OVERLAP. Raises what ObjectStore, `changes` and `check` raise.
        """
        began = self._store.clock()
        base = self._store.current()
        if full or base.manifest is None or not self._can_go_on_from(base.manifest):
            return self._build_from_nothing(base, began)
        draft = self._draft()
        try:
            return self._go_on_from(base.manifest, base, draft, began)
        except CorruptSegment as error:
            self._store.warn("a segment is corrupt", reason=str(error))
            self._clear_away(draft.added)
            return self._build_from_nothing(base, began)

    def _can_go_on_from(self, manifest: Manifest) -> bool:
        return manifest.dimension == self._dimension and self._store.is_reliable(manifest)

    def _build_from_nothing(self, base: Published, began: datetime) -> Manifest | None:
        draft = self._draft()
        self._feed(draft, None)
        return self._publish(draft, base, watermark=began, complete_at=began, began=began)

    def _go_on_from(self, manifest: Manifest, base: Published, draft: "_Draft", began: datetime) -> Manifest | None:
        for ref in manifest.segments:
            self._check()
            draft.adopt(ref)
        self._feed(draft, reread_from(manifest.watermark))
        return self._publish(
            draft,
            base,
            watermark=max(began, manifest.watermark_time),
            complete_at=parse_timestamp(manifest.complete_at),
            began=began,
            before=manifest,
        )

    def _draft(self) -> "_Draft":
        return _Draft(self._store, self._dimension, self._segment_rows)

    def _feed(self, draft: "_Draft", since: str | None) -> None:
        read = 0
        self._check()
        for page in self._changes(since):
            for row in page:
                draft.take(row)
            read += len(page)
            self._progress(read)
            self._check()

    def _publish(
        self,
        draft: "_Draft",
        base: Published,
        *,
        watermark: datetime,
        complete_at: datetime,
        began: datetime,
        before: Manifest | None = None,
    ) -> Manifest | None:
        """`before` is the snapshot that the draft began with."""
        segments = draft.finish()
        manifest = Manifest(
            dimension=self._dimension,
            watermark=timestamp(watermark),
            complete_at=timestamp(complete_at),
            segments=segments,
            retired=self._retired(base.manifest, {ref.name for ref in segments}),
            newest=max(draft.newest, (before and before.newest) or "") or None,
            skipped=draft.skipped + (before.skipped if before else 0),
        )
        self._check()
        if self._store.clock() - began > LONGEST_BUILD:
            self._store.warn("a build took too long", rows=manifest.live_count)
        elif self._store.publish(manifest, base):
            self._clear_away([ref for ref in draft.added if ref.name not in manifest.names])
            return manifest
        self._clear_away(draft.added)
        return None

    def _retired(self, before: Manifest | None, kept: set[str]) -> tuple[Retired, ...]:
        """What the manifest before named, or had retired lately, and this one does not name."""
        if before is None:
            return ()
        now = self._store.clock()
        lately = [retired for retired in before.retired if parse_timestamp(retired.at) >= now - GRACE]
        return (*lately, *(Retired(name=name, at=timestamp(now)) for name in sorted(before.names - kept)))

    def _clear_away(self, refs: list[SegmentRef]) -> None:
        with suppress(TooManyRequests, Unavailable):  # a sweep deletes what is left
            self._store.drop(refs)


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A segment in S3: times int64 (n,), and which of its rows are dead by now, (n,)."""

    ref: SegmentRef
    updated_at: npt.NDArray[np.int64]
    dead: Mask

    @property
    def live_count(self) -> int:
        return self.ref.rows - self.dead_count

    @property
    def dead_count(self) -> int:
        return int(self.dead.sum())


class _Draft:
    """The rows of a snapshot in the making; a product is in a part, among the rows in hand or among the deleted."""

    def __init__(self, store: SnapshotStore, dimension: int, segment_rows: int) -> None:
        self._store = store
        self._dimension = dimension
        self._segment_rows = segment_rows
        self._parts: list[_Part] = []
        self._places: dict[str, int] = {}
        """Product id to its place in the parts: number of the part, row."""
        self._in_hand: dict[str, IndexRow] = {}
        self._deleted: dict[str, int] = {}
        """Product id to the time of the deletion, in microseconds, so that an older row does not bring it back."""
        self.added: list[SegmentRef] = []
        """Every segment that was put for this draft."""
        self.newest = ""
        """The latest `updated_at` that was taken; empty before the first."""
        self.skipped = 0

    def adopt(self, ref: SegmentRef) -> None:
        """Begin with a segment of the snapshot before. Raises CorruptSegment."""
        keys, dead = self._store.keys(ref), ref.dead_rows
        part = _Part(ref, keys.updated_at, np.zeros(ref.rows, np.bool_) if dead is None else dead)
        self._append(part, keys.ids)

    def take(self, row: IndexRow) -> None:
        """Let the row replace what is older of its product; a repeat or an older one changes nothing."""
        self.newest = max(self.newest, row.updated_at)
        moment = microseconds(row.updated_at)
        if moment <= self._newest(row.product_id):
            return
        self._forget(row.product_id)
        if row.vector is not None and is_usable(row.vector, self._dimension):
            self._in_hand[row.product_id] = row
            if len(self._in_hand) >= self._segment_rows:
                self._put_down()
            return
        self._deleted[row.product_id] = moment
        self.skipped += row.vector is not None

    def finish(self) -> tuple[SegmentRef, ...]:
        """The segments of the snapshot, every one in S3 by now. Raises CorruptSegment."""
        self._put_down()
        self._merge_small()
        return tuple(part.ref.with_dead(part.dead) for part in self._parts if part.live_count)

    def _newest(self, product_id: str) -> int:
        """The time of what is known of a product, in microseconds since 1970."""
        place = self._places.get(product_id)
        if place is not None:
            part, row = self._at(place)
            return int(part.updated_at[row])
        if product_id in self._in_hand:
            return microseconds(self._in_hand[product_id].updated_at)
        return self._deleted.get(product_id, _BEFORE_ALL)

    def _forget(self, product_id: str) -> None:
        place = self._places.pop(product_id, None)
        if place is not None:
            part, row = self._at(place)
            part.dead[row] = True
        self._in_hand.pop(product_id, None)
        self._deleted.pop(product_id, None)

    def _at(self, place: int) -> tuple[_Part, int]:
        return self._parts[place >> _ROW_BITS], place & ((1 << _ROW_BITS) - 1)

    def _put_down(self) -> None:
        if self._in_hand:
            segment = Segment.of(list(self._in_hand.values()), self._dimension)
            self._in_hand = {}
            self._append(self._put(segment), segment.ids)

    def _append(self, part: _Part, ids: list[str]) -> None:
        """Raises CorruptSegment where a product lives in another part already."""
        first = len(self._parts) << _ROW_BITS
        live = np.flatnonzero(~part.dead).tolist()
        before = len(self._places)
        self._places.update((ids[row], first + row) for row in live)
        if len(self._places) != before + len(live):
            raise CorruptSegment("a product is live in two places")
        self._parts.append(part)

    def _put(self, segment: Segment) -> _Part:
        ref = self._store.add(segment)
        self.added.append(ref)
        return _Part(ref, segment.updated_at, np.zeros(ref.rows, np.bool_))

    def _merge_small(self) -> None:
        """Make few segments of those that are less than half full, once they are many or hold many dead rows."""
        small = [part for part in self._parts if 0 < part.live_count < self._segment_rows // 2]
        if len(small) < _MANY_SMALL and sum(part.dead_count for part in small) < self._segment_rows:
            return
        rest = [part for part in self._parts if part not in small]
        self._parts = [*rest, *map(self._put, self._merged(small))]

    def _merged(self, parts: list[_Part]) -> Iterator[Segment]:
        """The live rows of these in segments of at most `segment_rows`; one is read at a time."""
        gathered: Segment | None = None
        for part in parts:
            segment = merge([(self._store.segment(part.ref), ~part.dead)])
            if gathered is None:
                gathered = segment
            elif len(gathered) + len(segment) <= self._segment_rows:
                gathered = merge([(gathered, None), (segment, None)])
            else:
                yield gathered
                gathered = segment
        if gathered is not None:
            yield gathered
