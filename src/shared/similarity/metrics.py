"""The three metrics: scores in float64, higher is better in each, and bounds of a score from bounds of the cosine.

cosine: x.q / (|x| |q|), within -1 and 1. dot: x.q. euclidean: the negated distance -|x - q|, at most 0.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import numpy.typing as npt

from ..models.embedding import Metric

Side = Literal[-1, 1]
Float32s = npt.NDArray[np.float32]
Float64s = npt.NDArray[np.float64]

_BLOCK_ITEMS = 1 << 17
"""Components held as float64 at a time: 1 MiB, which stays in a core's second-level cache."""

_ROUNDING = 1e-11
"""Far above the relative error of any sum here: (d + 5) 2^-53 is 4.6e-13 for 4096 dimensions (Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed., section 4.2)."""


def squared_norms(vectors: Float32s) -> Float64s:
    """sum(x^2) of each row of (n, d), as float64 (n,): neither overflows nor underflows for float32 components.

    Equal rows get equal results, wherever they are; rows that are not finite get infinity or NaN.
    """
    squares = np.empty(len(vectors))
    for block in blocks(*vectors.shape):
        rows = vectors[block].astype(np.float64)
        np.multiply(rows, rows, out=rows)
        rows.sum(axis=1, out=squares[block])
    return squares


def exact(metric: Metric, rows: Float32s, query: Float32s, *, squares: Float64s) -> Float64s:
    """The score of each row of (m, d) with the query (d,), as float64 (m,); `squares` are the rows' `squared_norms`.

    Products are float64 and summed by numpy's pairwise summation along a contiguous axis, never by BLAS, whose order of
    summation depends on a row's place: equal vectors get equal scores, and a vector's cosine with itself is exactly 1.
    A cosine with the zero vector is 0.
    """
    sums = np.empty(len(rows))
    wide_query = query.astype(np.float64)
    for block in blocks(*rows.shape):
        wide = rows[block].astype(np.float64)
        if metric == "euclidean":
            np.subtract(wide, wide_query, out=wide)
            np.multiply(wide, wide, out=wide)
        else:
            np.multiply(wide, wide_query, out=wide)
        wide.sum(axis=1, out=sums[block])
    return _scores(metric, sums, squares, wide_query)


def _scores(metric: Metric, sums: Float64s, squares: Float64s, query: Float64s) -> Float64s:
    """Scores from sums of products, or of squared differences; adding 0.0 makes the zero among them positive."""
    if metric == "dot":
        return sums + 0.0
    if metric == "euclidean":
        return _distances(sums)
    square = (query * query).sum()
    if not square:
        return np.zeros(len(sums))
    # The root of a product of squares, not a product of norms: of x.x and x.x it gives x.x, without an error.
    cosines: Float64s = np.clip(sums / np.sqrt(squares * square), -1.0, 1.0) + 0.0
    return cosines


def bound(metric: Metric, cosines: Float32s, norms: Float64s, query_norm: float, side: Side) -> Float64s:
    """Bounds (m,) of `exact` from bounds of the cosines with the query: upper ones for side 1, lower ones for -1.

    `cosines` (m,) must bound the true cosines with at least 1e-7 to spare, which makes up for the rounding of `exact`
    and of this function in cosine and dot. In euclidean the squares of the two norms may be far above that of the
    distance, |x|^2 + |q|^2 - 2 |x| |q| cos, so it is moved by a share of them.
    """
    wide = cosines.astype(np.float64)
    if metric == "cosine":
        return wide
    wide *= norms * query_norm
    if metric == "dot":
        return wide
    squares = (norms * norms + query_norm * query_norm) * (1.0 - side * _ROUNDING) - 2.0 * wide
    return _distances(np.maximum(squares, 0.0))


def _distances(squares: Float64s) -> Float64s:
    """Negated roots; the zero among them is positive."""
    distances: Float64s = 0.0 - np.sqrt(squares)
    return distances


def blocks(rows: int, dimension: int, items: int = _BLOCK_ITEMS) -> Iterator[slice]:
    """Slices that cover rows 0..rows, each of at most `items` components (or one row)."""
    step = max(1, items // dimension)
    return (slice(start, start + step) for start in range(0, rows, step))
