"""The k nearest of crowded rows: float32 cannot tell which of too many others, all about as near, they are.

They are compared with all rows again, by float64 products, whose error hardly anything but a true tie is within.
"""

import numpy as np

from .neighbour_rows import Block, Check, Floats, Indices, Numbers, Rows, Scores, best_first, cosines_of

_TILE = 1024
_UNIT_ROUNDOFF = 2.0**-53


def search_in_double(rows: Rows, crowded: Indices, k: int, result: tuple[Numbers, Scores], check: Check) -> None:
    """Fill in the k nearest of the rows `crowded` (c,) in `result`: numbers and scores, both (n, k or more)."""
    numbers, scores = result
    for first in range(0, len(crowded), _TILE):
        some = crowded[first : first + _TILE]
        best = _Best(rows, some, k)
        for place in range(len(rows.numbers)):
            for start in range(0, len(rows.numbers[place]), _TILE):
                check()
                best.take(rows, place, start)
        numbers[some, :k], scores[some, :k] = best.numbers, best.scores


class _Best:
    """The k best so far of some rows, exactly: numbers (c, k) and float64 scores (c, k), by (-score, number)."""

    def __init__(self, rows: Rows, of: Indices, k: int) -> None:
        self.numbers: Numbers = np.zeros((len(of), k), np.uint32)
        self.scores: Scores = np.full((len(of), k), -np.inf)
        self._of = of
        self._block = rows.gather(of)
        self._units = _scaled(self._block, slice(None))
        self._margin = 4 * (rows.dimension + 8) * _UNIT_ROUNDOFF
        """Twice what a product of units and `cosines_of` err by together (see `neighbour_candidates.margin`)."""

    def take(self, rows: Rows, place: int, start: int) -> None:
        """Compare with one tile of a block."""
        block, numbers = rows.block(place), rows.numbers[place][start : start + _TILE]
        columns = _without_surplus(block.vectors[start : start + _TILE], numbers, self.scores.shape[1])
        numbers = numbers[columns]
        products = self._units @ _scaled(block, start + columns).T
        products[self._of[:, np.newaxis] == numbers] = -np.inf
        floors = np.maximum(self.scores[:, -1], self._kth(products)) - self._margin
        at_row, at_column = np.nonzero(products >= floors[:, np.newaxis])
        scores = cosines_of(self._block, at_row, block, start + columns[at_column])
        self._merge(at_row, numbers[at_column], scores)

    def _kth(self, products: Scores) -> Scores:
        """The k-th best of each row of a tile (c, t), float64 (c,): minus infinity where the tile has fewer."""
        k = self.scores.shape[1]
        if products.shape[1] < k:
            return np.full(len(products), -np.inf)
        kth: Scores = np.partition(products, products.shape[1] - k, axis=1)[:, products.shape[1] - k]
        return kth

    def _merge(self, at_row: Indices, numbers: Numbers, scores: Scores) -> None:
        """Let hits, in the order of rows, take their places among the best."""
        count, k = self.scores.shape
        sizes = np.bincount(at_row, minlength=count)
        width = k + int(sizes.max(initial=0))
        slots = k + np.arange(len(at_row)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        all_scores = np.full((count, width), -np.inf)
        all_numbers = np.zeros((count, width), np.uint32)
        all_scores[:, :k], all_numbers[:, :k] = self.scores, self.numbers
        all_scores[at_row, slots], all_numbers[at_row, slots] = scores, numbers
        order = best_first(all_scores, all_numbers)[:, :k]
        self.scores = np.take_along_axis(all_scores, order, 1)
        self.numbers = np.take_along_axis(all_numbers, order, 1)


def _without_surplus(vectors: Floats, numbers: Numbers, k: int) -> Indices:
    """Places (t',) of the rows (t, d) that are worth comparing: of those that are alike, the k + 1 first by number.

    They tie with whatever they are compared with, and one of them may be the row that they are compared with.
    """
    whole_rows = np.ascontiguousarray(vectors).view(np.dtype((np.void, vectors.shape[1] * vectors.itemsize)))
    _, kinds = np.unique(whole_rows.ravel(), return_inverse=True)
    order = np.lexsort((numbers, kinds))
    heads = np.flatnonzero(np.diff(kinds[order], prepend=-1))
    ranks = np.arange(len(order)) - np.repeat(heads, np.diff(heads, append=len(order)))
    return np.sort(order[ranks <= k])


def _scaled(block: Block, rows: Indices | slice) -> Scores:
    """These rows of a block scaled to length one, float64 (m, d)."""
    scaled: Scores = block.vectors[rows] / np.sqrt(block.squares[rows])[:, np.newaxis]
    return scaled
