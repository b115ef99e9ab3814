"""The k nearest neighbours, by cosine, of every row of a model version, from blocks of which few are held at a time.

Each pair of blocks is multiplied once in float32, as A B^T serves the rows of A and, read by columns, those of B. What
may be among the k nearest is scored again in float64, so that the result is that of a float64 computation over all
pairs, whatever the order of the blocks. Memory is O(n k) for candidates, plus two blocks and their scaled copies, plus
a tile; never n^2.
"""

from collections.abc import Callable, Sequence

import numpy as np

from .neighbour_candidates import Candidates
from .neighbour_crowds import search_in_double
from .neighbour_rows import Block, Check, Floats, Indices, Load, Numbers, Rows, Scores, best_first, cosines_of

__all__ = ["MAX_NEIGHBOURS", "Block", "Load", "Neighbours", "nearest_neighbours"]

MAX_NEIGHBOURS = 100

Progress = Callable[[int, int], None]

_TILE = 1024
_SCAN_SHARE, _SCORE_SHARE = 0.75, 0.2
"""The parts of the work that the two passes are taken for in progress reports; what crowded rows need is the rest."""


def no_check() -> None:
    """A check that lets everything go on."""


def no_progress(rows_done: int, rows: int) -> None:
    """A progress report that nobody reads."""


class Neighbours:
    """The result: n ids in order, by whose places rows are numbered, and the k' = min(k, n - 1) nearest of each row."""

    def __init__(self, ids: list[str], k: int, numbers: Numbers, scores: Scores) -> None:
        self.ids = ids
        self.k = k
        self._numbers = numbers
        self._scores = scores

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, first: int, last: int) -> tuple[Numbers, Scores]:
        """Row numbers uint32 (m, k') and cosines float64 (m, k') of rows first..last-1, by (-score, id)."""
        numbers, scores = self._numbers[first:last], self._scores[first:last]
        order = best_first(scores, numbers)[:, : self.k]
        return np.take_along_axis(numbers, order, 1), np.take_along_axis(scores, order, 1)


def nearest_neighbours(
    blocks: Sequence[Load],
    k: int,
    *,
    tile: int = _TILE,
    progress: Progress = no_progress,
    check: Check = no_check,
) -> Neighbours:
    """The k nearest neighbours by cosine of every row, itself excluded, ties by id.

    Between any two tiles `progress` is told (rows done, rows known of), in proportion to the work done, and `check` is
    called, which stops the computation by raising. A block is loaded for its ids, then in either pass about once for
    each pair that it is half of.
    Raises ValueError for k out of 1..100, an id given twice, and blocks that differ in dimension or from load to load.
    """
    if not 1 <= k <= MAX_NEIGHBOURS:
        raise ValueError(f"k must be 1 to {MAX_NEIGHBOURS}")
    meter = _Meter(progress, check)
    rows = Rows.survey(blocks, meter.count)
    total = len(rows.ids)
    k = min(k, max(total - 1, 0))
    if k == 0:
        return Neighbours(rows.ids, 0, np.empty((total, 0), np.uint32), np.empty((total, 0), np.float64))
    meter.count(total)
    candidates = Candidates(total, k, rows.dimension)
    _scan(rows, candidates, min(tile, _TILE * 16), meter)
    numbers, counts, crowded = candidates.settle()
    scores = _score(rows, numbers, counts, meter)
    search_in_double(rows, crowded, k, (numbers, scores), meter.check)
    progress(total, total)
    return Neighbours(rows.ids, k, numbers, scores)


class _Meter:
    """Turns shares of the work into rows done, and reports them whenever there is an occasion to."""

    def __init__(self, progress: Progress, check: Check) -> None:
        self._rows = 0
        self._share = 0.0
        self._progress = progress
        self._check = check

    def count(self, rows: int) -> None:
        """So many rows are known of."""
        self._rows = rows
        self.check()

    def step(self, share: float) -> None:
        """This part of the work is done, 0 to 1."""
        self._share = share
        self.check()

    def check(self) -> None:
        self._check()
        self._progress(int(self._rows * self._share), self._rows)


def _scan(rows: Rows, candidates: Candidates, tile: int, meter: _Meter) -> None:
    """The first pass: every pair of rows once, in float32."""
    done, total = 0, len(rows.ids) ** 2
    units, buffer = _Units(rows), np.empty(tile * tile, np.float32)
    for i, j in rows.pairs():
        (left, left_numbers), (right, right_numbers) = units.of(i), units.of(j)
        for top in range(0, len(left), tile):
            for start in range(top if i == j else 0, len(right), tile):
                on_diagonal = i == j and top == start
                across, down = left[top : top + tile], right[start : start + tile]
                scores = buffer[: len(across) * len(down)].reshape(len(across), len(down))
                np.dot(across, down.T, out=scores)
                if on_diagonal:
                    np.fill_diagonal(scores, -np.inf)
                numbers = left_numbers[top : top + tile], right_numbers[start : start + tile]
                candidates.take(scores, *numbers, both_ways=not on_diagonal)
                done += scores.size * (1 if on_diagonal else 2)
                meter.step(_SCAN_SHARE * done / total)


class _Units:
    """Blocks scaled to length one, float32 (m, d), and their rows' numbers (m,); the two used last are kept.

    Rows are shuffled, so that the first tile is a sample of its block and few of the others pass the floors that it
    sets. As they were stored, by time, the nearest may come last, tile after tile.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._held: dict[int, tuple[Floats, Numbers]] = {}

    def of(self, place: int) -> tuple[Floats, Numbers]:
        units = self._held.pop(place, None)
        if units is None:
            if len(self._held) > 1:
                self._held.pop(next(iter(self._held)))
            units = self._scaled(place)
        self._held[place] = units
        return units

    def _scaled(self, place: int) -> tuple[Floats, Numbers]:
        block, numbers = self._rows.block(place), self._rows.numbers[place]
        order = np.random.default_rng(place).permutation(len(numbers))
        units = block.vectors[order]
        np.divide(units, np.sqrt(block.squares[order])[:, np.newaxis], out=units, casting="same_kind")
        return units, numbers[order]


def _score(rows: Rows, numbers: Numbers, counts: Indices, meter: _Meter) -> Scores:
    """The second pass: the float64 scores of all candidates, float64 (n, w); minus infinity beyond a row's last."""
    scores = np.full(numbers.shape, -np.inf)
    done, total = 0, len(rows.ids) ** 2
    for i, j in rows.pairs():
        for own, other in ((i, j),) if i == j else ((i, j), (j, i)):
            _score_block(rows, own, other, numbers, counts, scores, meter)
            done += len(rows.numbers[own]) * len(rows.numbers[other])
        meter.step(_SCAN_SHARE + _SCORE_SHARE * done / total)
    return scores


def _score_block(
    rows: Rows, own: int, other: int, numbers: Numbers, counts: Indices, scores: Scores, meter: _Meter
) -> None:
    """Score those candidates of the rows of block `own` that are in block `other`."""
    left, right = rows.block(own), rows.block(other)
    slots = np.arange(numbers.shape[1])
    for first in range(0, len(left.ids), _TILE):
        meter.check()
        mine = rows.numbers[own][first : first + _TILE]
        filled = slots < counts[mine][:, np.newaxis]
        found = np.where(filled, numbers[mine], mine[:, np.newaxis])
        at_row, at_slot = np.nonzero(filled & (rows.block_of[found] == other))
        places = rows.place_of[found[at_row, at_slot]]
        scores[mine[at_row], at_slot] = cosines_of(left, first + at_row, right, places)
