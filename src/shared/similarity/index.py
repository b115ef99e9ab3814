"""The index of one model version of one owner: exact search over all its rows, and the changes that keep it fresh."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from ..database.index_rows import IndexRow
from ..models.embedding import Metric
from ..models.json_text import loads
from ..models.vector import Vector
from .diversity import pool_size, select
from .parts import Part, StreamedPart, compacted, cut
from .query import Hit, Query
from .scan import Found, Scan
from .segment import Mask, Segment, is_usable, merge, microseconds

__all__ = ["Hit", "Metric", "ModelIndex", "Part", "Query", "StreamedPart"]

SEALED_ROWS = 1024
"""The overlay of new rows is made anew at each change, until it has so many."""

TOMBSTONE_SECONDS = 3600
"""How long before the watermark a deletion is remembered: far longer than a late read of the table can lag behind.

Where parts are streamed it is never forgotten, as it also keeps their rows out.
"""

_BYTES_PER_TOMBSTONE = 250
_NEVER = -(1 << 63)


def _no_check() -> None:
    return None


@dataclass(frozen=True, eq=False)
class ModelIndex:
    """Immutable, so that threads may share it; `with_changes` makes the next one, which shares what did not change."""

    dimension: int
    parts: tuple[Part | StreamedPart, ...] = ()
    """No live row of one product in two of them."""

    watermark: str = ""
    """Changes before this time, a text of `models.fields.timestamp`, are in; empty where none has been read."""

    overlay: Part | None = None
    """Rows that came last."""

    tombstones: Mapping[str, int] = field(default_factory=dict)
    """Products that are gone, with the time of it in microseconds since 1970."""

    unusable: frozenset[str] = frozenset()
    """Products whose newest row has a vector of another dimension, or one that is all zero or not finite."""

    @property
    def skipped(self) -> int:
        """How many products are left out because their vector cannot be searched."""
        return len(self.unusable)

    @property
    def nbytes(self) -> int:
        """Bytes of memory, about; of streamed parts what is kept between searches."""
        return sum(part.nbytes for part in self._all_parts) + _BYTES_PER_TOMBSTONE * len(self.tombstones)

    def drop_columns(self) -> None:
        """Let go of what filters have left in memory."""
        for part in self._resident:
            part.segment.drop_columns()

    def __len__(self) -> int:
        """Live rows; where parts are streamed, those of their rows that were replaced since count too."""
        return sum(map(len, self._all_parts))

    def with_changes(self, rows: Sequence[IndexRow], watermark: str) -> "ModelIndex":
        """The index after these rows, in whatever order, and at this watermark or the present one if that is later.

        The newest row of each product holds; one that is as old as the known one is a repeat, and left out. A deleted
        row takes its product away; so does one whose vector has another dimension, is not finite or is all zero, and
        it counts as `skipped`. Raises ValueError for an `updated_at` that is no time.
        """
        news = {name: row for name, row in _newest(rows).items() if microseconds(row.updated_at) > self._time_of(name)}
        watermark = max(watermark, self.watermark)
        stored = [row for row in news.values() if row.vector is not None and is_usable(row.vector, self.dimension)]
        gone = news.keys() - {row.product_id for row in stored}
        tombstones = {name: time for name, time in self.tombstones.items() if name not in news}
        tombstones |= {name: microseconds(news[name].updated_at) for name in gone}
        changed = replace(
            self,
            watermark=watermark,
            tombstones=tombstones if self._streamed else _recent(tombstones, watermark),
            unusable=(self.unusable - news.keys()) | {name for name in gone if news[name].vector is not None},
        )
        return changed._with_rows(stored, news.keys()) if news else changed

    def _with_rows(self, stored: Sequence[IndexRow], replaced: Iterable[str]) -> "ModelIndex":
        sealed = [part.without(replaced) for part in self.parts if isinstance(part, Part)]
        overlay = self._overlay_with(stored, replaced)
        if overlay is not None and len(overlay) >= SEALED_ROWS:
            sealed, overlay = [*sealed, *cut(overlay)], None
        parts: list[Part | StreamedPart] = [*self._streamed, *compacted(sealed)]
        return replace(self, parts=tuple(parts), overlay=overlay)

    def _overlay_with(self, stored: Sequence[IndexRow], replaced: Iterable[str]) -> Part | None:
        old = None if self.overlay is None else self.overlay.without(replaced)
        if not stored:
            return old
        new = Segment.of(stored, self.dimension)
        return Part(new if old is None else merge([(old.segment, old.live), (new, None)]))

    def search(self, query: Query, check: Callable[[], None] = _no_check) -> list[Hit]:
        """The best `top_k` rows by (falling score, id), exactly as a float64 computation over all rows ranks them.

        With `diversity`, they are chosen from more, and in the order of the choice (see `diversity.select`). `check` is
        called before each part and may raise to end the search. Raises ValueError for a query of another dimension.
        """
        if query.vector.shape != (self.dimension,):
            raise ValueError(f"the index has {self.dimension} dimensions, the query {query.vector.size}")
        wanted = pool_size(query.top_k) if query.diversity else query.top_k
        scan = Scan(query, wanted + (query.exclude is not None))
        for segment, live in self._segments(check):
            scan.look_at(segment, _allowed(segment, live, query))
        found = [row for row in scan.found if row.product_id != query.exclude][:wanted]
        return list(map(_hit, _diverse(found, query) if query.diversity else found))

    def vector_of(self, product_id: str) -> Vector | None:
        """The vector of a product, or None where it is not in the index; streamed parts are loaded one by one."""
        for segment, live in self._segments(_no_check):
            row = segment.row_of(product_id)
            if row is not None and (live is None or live[row]):
                return Vector(segment.vectors[row].tobytes())
        return None

    @property
    def _all_parts(self) -> tuple[Part | StreamedPart, ...]:
        return self.parts if self.overlay is None else (*self.parts, self.overlay)

    @property
    def _resident(self) -> list[Part]:
        return [part for part in self._all_parts if isinstance(part, Part)]

    @property
    def _streamed(self) -> list[StreamedPart]:
        return [part for part in self.parts if isinstance(part, StreamedPart)]

    def _time_of(self, product_id: str) -> int:
        """When what is known of a product in memory was written. A dead row counts: nothing older may come back."""
        times = [self.tombstones.get(product_id, _NEVER)]
        for part in self._resident:
            row = part.segment.row_of(product_id)
            if row is not None:
                times.append(int(part.segment.updated_at[row]))
        return max(times)

    @cached_property
    def _times(self) -> dict[str, int]:
        """`_time_of` of all products in memory: few where parts are streamed."""
        names = {name for part in self._resident for name in part.segment.ids}
        return {name: self._time_of(name) for name in names | self.tombstones.keys()}

    def _segments(self, check: Callable[[], None]) -> Iterator[tuple[Segment, Mask | None]]:
        """All segments, each with a mask of its live rows or None for all; streamed ones first, one at a time."""
        outdated: set[str] = set()
        for streamed in self._streamed:
            check()
            segment = streamed.load()
            yield segment, self._live_of(segment, streamed.dead, outdated)
        for part in self._resident:
            check()
            yield part.segment, (part.without(outdated) if outdated else part).live

    def _live_of(self, segment: Segment, dead: Mask | None, outdated: set[str]) -> Mask:
        """The rows of a streamed segment that nothing in memory replaces; what they replace joins `outdated`."""
        known = np.array([self._times.get(name, _NEVER) for name in segment.ids], dtype=np.int64)
        live = known < segment.updated_at if dead is None else (known < segment.updated_at) & ~dead
        outdated.update(segment.ids[row] for row in np.flatnonzero(live & (known != _NEVER)).tolist())
        return live


def _newest(rows: Iterable[IndexRow]) -> dict[str, IndexRow]:
    newest: dict[str, IndexRow] = {}
    for row in rows:
        known = newest.get(row.product_id)
        if known is None or microseconds(row.updated_at) > microseconds(known.updated_at):
            newest[row.product_id] = row
    return newest


def _recent(tombstones: Mapping[str, int], watermark: str) -> dict[str, int]:
    if not watermark:
        return dict(tombstones)
    oldest = microseconds(watermark) - TOMBSTONE_SECONDS * 1_000_000
    return {name: time for name, time in tombstones.items() if time >= oldest}


def _allowed(segment: Segment, live: Mask | None, query: Query) -> Mask | None:
    if query.filter is None:
        return live
    matching = segment.columns.mask(query.filter)
    return matching if live is None else matching & live


def _diverse(found: Sequence[Found], query: Query) -> list[Found]:
    vectors = np.frombuffer(b"".join(row.vector for row in found), np.float32).reshape(-1, query.vector.size)
    relevance = np.array([row.score for row in found])
    places = select([row.product_id for row in found], vectors, relevance, query.top_k, query.diversity)
    return [found[place] for place in places]


def _hit(found: Found) -> Hit:
    return Hit(found.product_id, found.score, loads(found.product), Vector(found.vector))
