"""The first pass of a search: cosines in float32, with one bound of the error of them all.

With u the query over its norm, rounded to float32, and s the float32 sum of the products of x and u, the cosine is
s / |x| but for

    products   gamma_d |x| |u|, with gamma_d = d v / (1 - d v) and v = 2^-24: each product goes through at most d
               roundings, one of its own and one of each addition after it, whatever the order of the sum, and whether
               multiply and add are fused or not (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed.,
               section 3.1 and lemma 3.1); by Cauchy-Schwarz, sum |x_i u_i| <= |x| |u|
    the rest   the rounding of u, of the reciprocal of |x|, of s times that, of that +- margin, a v each, and of every
               float64 step before and after: together below 6 v = 3.6e-7

so that a margin of gamma_d + 16 v (9.5e-7) bounds the error with 5e-7 to spare. That holds where no sum overflows and
what underflows does not matter, which is for rows of a norm in `NORMS`: sums stay below 2^61; and were denormal numbers
taken for zero, d products, d - 1 sums and 2 d factors would err by less than 2^-126 or 2^-126 |x| each, which of such a
norm is a share of 2^-52 for 4096 dimensions.
"""

import numpy as np
import numpy.typing as npt

from .metrics import Float32s, Float64s, blocks

NORMS = 2.0**-60, 2.0**60
"""The least and the largest norm of a row that the bound holds for."""

_UNIT_ROUNDOFF = 2.0**-24
_SPARE = 16 * _UNIT_ROUNDOFF

_GATHERED_ITEMS = 1 << 16
"""256 KiB of float32, which stay in a core's second-level cache."""


def margin(dimension: int) -> np.float32:
    """How far `cosines` may be from the true cosine."""
    error = dimension * _UNIT_ROUNDOFF
    return np.float32(error / (1 - error) + _SPARE)


def is_bounded(norms: Float64s) -> bool:
    """Whether `margin` holds for rows of these norms."""
    return bool(((norms >= NORMS[0]) & (norms <= NORMS[1])).all())


def cosines(
    vectors: Float32s, reciprocals: Float32s, unit: Float32s, rows: npt.NDArray[np.intp] | None = None
) -> Float32s:
    """About the cosine of each row (n, d), or of these rows, with a query (d,) of norm 1: float32, within `margin`.

    `reciprocals` are those of the norms, (n,). BLAS computes one dot product after the other, since its product of a
    matrix and a vector takes twice as long for rows that come from memory.
    """
    if rows is None:
        sums: Float32s = np.vecdot(vectors, unit)
        sums *= reciprocals
        return sums
    sums = np.empty(len(rows), np.float32)
    for block in blocks(len(rows), len(unit), _GATHERED_ITEMS):
        np.vecdot(vectors.take(rows[block], axis=0), unit, out=sums[block])
    sums *= reciprocals[rows]
    return sums
