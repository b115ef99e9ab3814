"""The first pass of a search: cosines from 8-bit codes, each with a bound of its error.

A row x is kept as x / |x| ~ a c, where c is int8 (d,) and a > 0 is such that the largest component gets the code 127 or
-127. With u the query over its norm, rounded to float32, and t the float32 dot product c.u, the cosine is a t but for

    residual   |x/|x| - a c|, by Cauchy-Schwarz, measured in float64 when the codes are made
    products   gamma_d a |c| |u|, with gamma_d = d v / (1 - d v) and v = 2^-24, whatever the order of the sum, and
               whether multiply and add are fused or not (Higham, Accuracy and Stability of Numerical Algorithms,
               2nd ed., section 3.1); a |c| is at most 1 + residual
    the rest   the rounding of u, of its norm, of a t, of a t +- margin, of the margin itself, and of every float64
               step: together below 12 v = 7.2e-7, as |a t| < 2

so that a margin of residual + gamma_d (1 + residual) + 2^-20 (9.5e-7) bounds the error with 2e-7 to spare. Norms play
no part in it: no magnitude that float32 can hold overflows or gets lost.
"""

import threading
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .metrics import Float32s, Float64s, blocks

_TOP_CODE = 127
_UNIT_ROUNDOFF = 2.0**-24
_SPARE = 2.0**-20
_BYTES_PER_ROW = 8

_BUFFER_ITEMS = 1 << 19
"""2 MiB of float32."""

Item = TypeVar("Item", np.int8, np.float32)


@dataclass(frozen=True, eq=False, slots=True)
class FirstPass:
    """The codes of n rows of d dimensions, and the two numbers that each of them needs."""

    codes: npt.NDArray[np.int8]
    """(n, d)"""

    steps: Float32s
    """(n,): what a code of 1 stands for in a row over its norm."""

    margins: Float32s
    """(n,): how far `cosines` may be from the true cosine."""

    @classmethod
    def of(cls, vectors: Float32s, norms: Float64s) -> "FirstPass":
        """The codes of float32 vectors (n, d), finite and not zero, with their Euclidean norms (n,)."""
        count = len(vectors)
        made = cls(np.empty(vectors.shape, np.int8), np.empty(count, np.float32), np.empty(count, np.float32))
        for block in blocks(*vectors.shape):
            made._encode(block, vectors[block] / norms[block, np.newaxis])
        return made

    @staticmethod
    def nbytes_of(rows: int, dimension: int) -> int:
        return rows * (dimension + _BYTES_PER_ROW)

    def _encode(self, block: slice, units: Float64s) -> None:
        """Fill in a block from its rows over their norms, which are overwritten."""
        steps = (np.maximum(units.max(axis=1), -units.min(axis=1)) / _TOP_CODE).astype(np.float32)
        wide_steps = steps.astype(np.float64)[:, np.newaxis]
        codes = units * (1 / wide_steps)
        np.rint(codes, out=codes)
        self.codes[block] = codes
        codes *= wide_steps
        units -= codes
        residuals = np.sqrt(np.einsum("ij,ij->i", units, units))
        self.steps[block] = steps
        self.margins[block] = residuals + _gamma(units.shape[1]) * (1 + residuals) + _SPARE

    def cosines(self, unit: Float32s, rows: npt.NDArray[np.intp] | None = None) -> Float32s:
        """About the cosine of each row, or of these rows, with a query (d,) of norm 1: float32, within `margins`."""
        count = len(self.codes) if rows is None else len(rows)
        sums = np.empty(count, np.float32)
        for block in blocks(count, len(unit), _BUFFER_ITEMS):
            codes = self.codes[block] if rows is None else self._gathered(rows[block])
            wide = _buffer(np.float32, codes.shape)
            np.copyto(wide, codes)
            np.dot(wide, unit, out=sums[block])
        sums *= self.steps if rows is None else self.steps[rows]
        return sums

    def _gathered(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int8]:
        gathered = _buffer(np.int8, (len(rows), self.codes.shape[1]))
        return self.codes.take(rows, axis=0, out=gathered, mode="clip")


def _gamma(dimension: int) -> float:
    return dimension * _UNIT_ROUNDOFF / (1 - dimension * _UNIT_ROUNDOFF)


_buffers = threading.local()


def _buffer(item: type[Item], shape: tuple[int, ...]) -> npt.NDArray[Item]:
    """An array of this thread's, kept so that its pages need not be asked for again; overwritten by the next use."""
    kept: npt.NDArray[Any] | None = getattr(_buffers, item.__name__, None)
    size = shape[0] * shape[1]
    if kept is None or kept.size < size:
        kept = np.empty(max(size, _BUFFER_ITEMS), item)
        setattr(_buffers, item.__name__, kept)
    return kept[:size].reshape(shape)
