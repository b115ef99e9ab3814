"""The best rows of segments that are looked at one after the other: exact scores, ties by product id.

Of a segment, first the cosines are found to within a margin. L, the width-th largest lower bound of the rows that may
be found, or the width-th best exact score so far, is no more than the width-th best score of all: a row whose upper
bound is below L cannot be among them, and all others are scored exactly. Only what was found is kept from a segment.
"""

import heapq
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from .first_pass import cosines, margin
from .metrics import Float64s, bound, exact, squared_norms
from .query import Query
from .segment import Mask, Segment

_EXACT_ITEMS = 1 << 15
"""Components that are scored exactly at once, in the time that a first pass takes for its own overhead."""

_FEW = 4
"""Where fewer than one row in so many is allowed, gathering them takes less time than a first pass over all."""

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Found:
    """One row as found: its exact score, its product's JSON text and its vector (float32, little-endian)."""

    score: float
    product_id: str
    product: str
    vector: bytes

    @classmethod
    def of(cls, segment: Segment, row: int, score: float) -> "Found":
        return cls(score, segment.ids[row], segment.documents.text(row), segment.vectors[row].tobytes())


class Scan:
    """The `width` best rows of the segments looked at so far; a query's filter and `exclude` are left to others."""

    def __init__(self, query: Query, width: int) -> None:
        self.found: list[Found] = []
        """In order: by falling score, then by id."""

        self._query, self._width = query, width
        self._norm = float(np.sqrt(squared_norms(query.vector[np.newaxis])[0]))
        unit = query.vector.astype(np.float64) / (self._norm or 1.0)
        self._unit = unit.astype(np.float32)

    def look_at(self, segment: Segment, allowed: Mask | None) -> None:
        """Take in the rows of one more segment, or those of them where `allowed` (n,) is true."""
        rows = self._candidates(segment, allowed)
        if rows is None:
            self._keep(segment, np.arange(len(segment)), self._exact(segment.vectors, segment.squares))
        elif len(rows):
            self._keep(segment, rows, self._exact(segment.vectors[rows], segment.squares[rows]))

    def _exact(self, vectors: npt.NDArray[np.float32], squares: Float64s) -> Float64s:
        return exact(self._query.metric, vectors, self._query.vector, squares=squares)

    def _candidates(self, segment: Segment, allowed: Mask | None) -> Rows | None:
        """All allowed rows that may be among the best, None for every row."""
        count = len(segment) if allowed is None else int(np.count_nonzero(allowed))
        if count * segment.dimension <= _EXACT_ITEMS or not segment.is_bounded:
            return None if allowed is None else np.flatnonzero(allowed)
        if allowed is None or _FEW * count > len(segment):
            return self._promising(segment, None, allowed)
        rows = np.flatnonzero(allowed)
        return rows[self._promising(segment, rows, None)]

    def _promising(self, segment: Segment, rows: Rows | None, allowed: Mask | None) -> Rows:
        """The places among `rows` (or all) of allowed ones that the bounds do not rule out."""
        about, error = cosines(segment.vectors, segment.reciprocals, self._unit, rows), margin(segment.dimension)
        norms = segment.norms if rows is None else segment.norms[rows]
        upper = bound(self._query.metric, about + error, norms, self._norm, 1)
        places = np.flatnonzero(upper >= self._least)
        if allowed is not None:
            places = places[allowed[places]]
        if len(places) <= self._width:
            return places
        lower = bound(self._query.metric, about[places] - error, norms[places], self._norm, -1)
        return places[upper[places] >= _nth_largest(lower, self._width)]

    @property
    def _least(self) -> float:
        """The score that a row needs at least."""
        if len(self.found) == self._width:
            return self.found[-1].score
        return -np.inf if self._query.min_score is None else self._query.min_score

    def _keep(self, segment: Segment, rows: Rows, scores: Float64s) -> None:
        least = self._least
        if len(scores) > self._width:
            least = max(least, _nth_largest(scores, self._width))
        places = np.flatnonzero(scores >= least)
        names = [segment.ids[row] for row in rows[places].tolist()]
        here = zip((-scores[places]).tolist(), names, rows[places].tolist(), strict=True)
        before = ((-found.score, found.product_id, found) for found in self.found)
        best = heapq.nsmallest(self._width, chain(before, here), key=itemgetter(0, 1))
        self.found = [row if isinstance(row, Found) else Found.of(segment, row, -negated) for negated, _, row in best]


def _nth_largest(numbers: Float64s, nth: int) -> float:
    return float(np.partition(numbers, len(numbers) - nth)[len(numbers) - nth])
