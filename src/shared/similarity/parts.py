"""Parts of an index: segments with the rows of them that no longer hold, in memory or to be fetched at each search."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .segment import SEGMENT_ROWS, Mask, Segment, merge

SMALL_ROWS = SEGMENT_ROWS // 2
"""A part with fewer live rows than this is small."""

MOST_SMALL_PARTS = 7


@dataclass(frozen=True, eq=False, slots=True)
class Part:
    """A segment in memory; `dead` (n,) is true for rows that were replaced or deleted, None where none was."""

    segment: Segment
    dead: Mask | None = None

    @property
    def live(self) -> Mask | None:
        """(n,), the contrary of `dead`; None where all rows live."""
        return None if self.dead is None else ~self.dead

    @property
    def nbytes(self) -> int:
        return self.segment.nbytes + (0 if self.dead is None else self.dead.nbytes)

    def __len__(self) -> int:
        """How many rows live."""
        return len(self.segment) - _count(self.dead)

    def without(self, product_ids: Iterable[str]) -> "Part":
        """This part with the rows of these products dead."""
        rows = [row for row in map(self.segment.row_of, product_ids) if row is not None]
        if not rows:
            return self
        dead = np.zeros(len(self.segment), np.bool_) if self.dead is None else self.dead.copy()
        dead[rows] = True
        return replace(self, dead=dead)


@dataclass(frozen=True, eq=False, slots=True)
class StreamedPart:
    """A segment of `rows` rows that is loaded whenever it is searched, and let go of again.

    Its ids are known only then: rows that changed since are found dead after loading.
    """

    load: Callable[[], Segment]
    rows: int
    dead: Mask | None = None

    @property
    def nbytes(self) -> int:
        return 0 if self.dead is None else self.dead.nbytes

    def __len__(self) -> int:
        """How many rows live, as far as is known without loading them."""
        return self.rows - _count(self.dead)


def _count(dead: Mask | None) -> int:
    return 0 if dead is None else int(np.count_nonzero(dead))


def compacted(parts: Sequence[Part]) -> list[Part]:
    """The same live rows in parts that are not empty, of which at most `MOST_SMALL_PARTS` are small."""
    filled = [part for part in parts if len(part)]
    small = [part for part in filled if len(part) < SMALL_ROWS]
    if len(small) <= MOST_SMALL_PARTS:
        return filled
    merged = merge([(part.segment, part.live) for part in small])
    return [*(part for part in filled if len(part) >= SMALL_ROWS), *cut(Part(merged))]


def cut(part: Part) -> list[Part]:
    """The same live rows, in order, in parts of at most `SEGMENT_ROWS`."""
    if len(part.segment) <= SEGMENT_ROWS:
        return [part]
    rows = np.arange(len(part.segment)) if part.live is None else np.flatnonzero(part.live)
    chunks = [rows[start : start + SEGMENT_ROWS] for start in range(0, len(rows), SEGMENT_ROWS)]
    return [Part(part.segment.select(chunk)) for chunk in chunks]
