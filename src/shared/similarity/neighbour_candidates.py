"""What may be among the k nearest of each row: candidates whose float32 score is within its error of the k-th best.

The first pass over all pairs of rows is done in float32, and its scores are off by up to `margin`. So the k-th best
true score of a row is at least its k-th best float32 score less one margin, and whatever has a float32 score of more
than two margins below that k-th best is not among the k nearest. All else is kept, to be scored again in float64.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .neighbour_rows import Flags, Floats, Indices, Numbers

SLACK = 32
"""Candidates beyond k that a row may have; one with more of them is crowded and is searched in float64 instead."""

_UNIT_ROUNDOFF = 2.0**-24


def margin(dimension: int) -> float:
    """How far the float32 product of two rows, scaled to length one in float32, can be from their cosine.

    Summing d products in any order errs by at most gamma(d) = d u / (1 - d u) times the sum of their absolute values
    (Higham, Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), which is at most one for unit vectors
    (Cauchy and Schwarz). Rounding both vectors to float32 adds 2 u, and two more u are more than what is left: second
    order terms, underflow, and the error of the float64 scores that the result is measured by.
    """
    terms = (dimension + 4) * _UNIT_ROUNDOFF
    return terms / (1 - terms)


class Candidates:
    """Candidates of n rows for their k nearest others; arrays of shape (n, width), of which a row has the first few.

    A row's floor is the least score that a candidate of it needs: minus infinity until k others have been seen.
    """

    def __init__(self, rows: int, k: int, dimension: int) -> None:
        self._k = k
        self._most = k + SLACK
        self._width = 2 * self._most
        self._twice_margin = 2 * margin(dimension)
        self._scores: Floats = np.empty((rows, self._width), np.float32)
        self._numbers: Numbers = np.empty((rows, self._width), np.uint32)
        self._counts: Indices = np.zeros(rows, np.intp)
        self._floors: Floats = np.full(rows, -np.inf, np.float32)
        self._crowded: Flags = np.zeros(rows, np.bool_)

    def take(self, tile: Floats, rows: Numbers, columns: Numbers, *, both_ways: bool) -> None:
        """Note the scores `tile` (r, c) of the rows numbered `rows` (r,) with those numbered `columns` (c,).

        With `both_ways` they are noted for the columns as well, since score is symmetric.
        """
        self._seed(tile, rows)
        hits = np.flatnonzero(tile >= self._floors[rows][:, np.newaxis])
        at_row, at_column = np.divmod(hits, tile.shape[1])
        self._add(rows[at_row], tile.ravel()[hits], columns[at_column])
        if both_ways:
            self._take_columns(tile, rows, columns)

    def _take_columns(self, tile: Floats, rows: Numbers, columns: Numbers) -> None:
        self._seed(tile.T, columns)
        hits = np.flatnonzero(tile >= self._floors[columns])
        at_row, at_column = np.divmod(hits, tile.shape[1])
        order = np.argsort(at_column.astype(np.uint16), kind="stable")
        self._add(columns[at_column[order]], tile.ravel()[hits[order]], rows[at_row[order]])

    def settle(self, chunk: int = 1024) -> tuple[Numbers, Indices, Indices]:
        """The candidates' numbers (n, k + SLACK), how many each row has (n,), and the numbers of the crowded rows.

        The scores are given up: nothing can be taken afterwards.
        """
        for first in range(0, len(self._counts), chunk):
            self._tighten(np.arange(first, min(first + chunk, len(self._counts))))
        self._scores = np.empty((0, 0), np.float32)
        return self._numbers[:, : self._most], self._counts, np.flatnonzero(self._crowded)

    def _seed(self, tile: Floats, rows: Numbers) -> None:
        """Give rows that have seen nothing the floor of this tile, so that it does not come in whole."""
        fresh = np.flatnonzero(self._floors[rows] == -np.inf)
        if len(fresh) and tile.shape[1] >= self._k:
            self._floors[rows[fresh]] = self._floor(tile[fresh])

    def _floor(self, scores: npt.NDArray[Any]) -> Floats:
        """Two margins below the k-th best of each row (m, w), rounded down; minus infinity where there are fewer."""
        place = scores.shape[1] - self._k
        kth = np.partition(scores, place, axis=1)[:, place].astype(np.float64)
        return np.nextafter((kth - self._twice_margin).astype(np.float32), np.float32(-np.inf))

    def _add(self, rows: Numbers, scores: Floats, numbers: Numbers) -> None:
        """Append hits, those of one row next to each other; a row that is full is tightened, as often as it takes."""
        while len(rows):
            heads = np.flatnonzero(np.diff(rows, prepend=rows[0] + np.uint32(1)))
            sizes = np.diff(heads, append=len(rows))
            slots = self._counts[rows] + np.arange(len(rows)) - np.repeat(heads, sizes)
            fits = slots < self._width
            self._scores[rows[fits], slots[fits]] = scores[fits]
            self._numbers[rows[fits], slots[fits]] = numbers[fits]
            heads_rows = rows[heads]
            self._counts[heads_rows] = np.minimum(self._counts[heads_rows] + sizes, self._width)
            left = np.flatnonzero(~fits)
            self._tighten(np.unique(rows[left]))
            left = left[scores[left] >= self._floors[rows[left]]]
            rows, scores, numbers = rows[left], scores[left], numbers[left]

    def _tighten(self, rows: npt.NDArray[Any]) -> None:
        """Raise the floors of these rows to what they hold by now, and drop what is below."""
        if not len(rows):
            return
        scores, numbers = self._scores[rows], self._numbers[rows]
        scores[np.arange(self._width) >= self._counts[rows][:, np.newaxis]] = -np.inf
        floors = np.maximum(self._floors[rows], self._floor(scores))
        kept = (scores >= floors[:, np.newaxis]) & (scores > -np.inf)
        crowded = np.count_nonzero(kept, axis=1) > self._most
        kept[crowded] = False
        counts = np.count_nonzero(kept, axis=1)
        self._floors[rows] = np.where(crowded, np.float32(np.inf), floors)
        self._counts[rows] = counts
        self._crowded[rows] |= crowded
        at_row, at_column = np.nonzero(kept)
        slots = np.arange(len(at_row)) - np.repeat(np.cumsum(counts) - counts, counts)
        self._scores[rows[at_row], slots] = scores[at_row, at_column]
        self._numbers[rows[at_row], slots] = numbers[at_row, at_column]
