"""The rows among which neighbours are looked for: loaded in blocks when needed, and numbered in the order of ids."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from .metrics import blocks as blocks_of_rows
from .metrics import squared_norms
from .segment import Segment

Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.uint32]
Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]
Check = Callable[[], None]


@dataclass(frozen=True)
class Block:
    """Some rows of a model version: ids, and vectors float32 (m, d) as stored, each finite and not all zero."""

    ids: Sequence[str]
    vectors: Floats

    @classmethod
    def of(cls, segment: Segment, dead: Flags | None = None) -> "Block":
        """The rows of a segment but those where `dead` (m,) is true; the rest of the segment is let go."""
        if dead is None or not dead.any():
            return cls(segment.ids, segment.vectors)
        live = np.flatnonzero(~dead)
        return cls([segment.ids[row] for row in live.tolist()], segment.vectors[live])

    @cached_property
    def squares(self) -> Scores:
        """`squared_norms` of the vectors, float64 (m,)."""
        return squared_norms(self.vectors)


Load = Callable[[], Block]
"""Gives one block; called several times, it gives the same rows each time."""


class Rows:
    """All rows by number: which block each is in, and where; the two blocks used last are kept."""

    def __init__(self, blocks: Sequence[Load], ids_of_blocks: list[list[str]], dimension: int) -> None:
        self.dimension = dimension
        self.ids = sorted(product_id for ids in ids_of_blocks for product_id in ids)
        self._blocks = blocks
        self._held: dict[int, Block] = {}
        number_of = {product_id: number for number, product_id in enumerate(self.ids)}
        if len(number_of) != len(self.ids):
            raise ValueError("two rows have the same id")
        self.numbers = [
            np.fromiter((number_of[product_id] for product_id in ids), np.uint32, len(ids)) for ids in ids_of_blocks
        ]
        self.block_of: npt.NDArray[np.int32] = np.empty(len(self.ids), np.int32)
        self.place_of: npt.NDArray[np.intp] = np.empty(len(self.ids), np.intp)
        for place, numbers in enumerate(self.numbers):
            self.block_of[numbers] = place
            self.place_of[numbers] = np.arange(len(numbers))

    @classmethod
    def survey(cls, blocks: Sequence[Load], counted: Callable[[int], None]) -> "Rows":
        """Read every block once, one at a time, for what must be known before the first pass.

        `counted` is told before each how many rows the blocks so far have.
        """
        ids_of_blocks: list[list[str]] = []
        dimensions: set[int] = set()
        for load in blocks:
            counted(sum(len(ids) for ids in ids_of_blocks))
            block = load()
            ids_of_blocks.append(list(block.ids))
            if block.ids:
                dimensions.add(block.vectors.shape[1])
        if len(dimensions) > 1:
            raise ValueError(f"the blocks have different dimensions: {sorted(dimensions)}")
        return cls(blocks, ids_of_blocks, dimensions.pop() if dimensions else 0)

    def block(self, place: int) -> Block:
        block = self._held.pop(place, None)
        if block is None:
            if len(self._held) > 1:
                self._held.pop(next(iter(self._held)))
            block = self._blocks[place]()
            if len(block.ids) != len(self.numbers[place]):
                raise ValueError("a block changed between two loads")
        self._held[place] = block
        return block

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Every pair (i, j) of blocks, i <= j, in an order in which each is mostly still held from the pair before."""
        places = [place for place, numbers in enumerate(self.numbers) if len(numbers)]
        for turn, first in enumerate(places):
            others = places[turn + 1 :]
            yield first, first
            yield from ((first, other) for other in (others if turn % 2 else reversed(others)))

    def gather(self, numbers: Indices) -> Block:
        """The rows of these numbers, in this order, without ids; every block that has one of them is loaded."""
        vectors = np.empty((len(numbers), self.dimension), np.float32)
        for place in np.unique(self.block_of[numbers]).tolist():
            mine = np.flatnonzero(self.block_of[numbers] == place)
            vectors[mine] = self.block(place).vectors[self.place_of[numbers[mine]]]
        return Block((), vectors)


def cosines_of(left: Block, at_left: Indices, right: Block, at_right: Indices) -> Scores:
    """The cosines of pairs of rows, float64 (p,): the very numbers of `metrics.exact`, which takes one query a time."""
    cosines = np.empty(len(at_left))
    for some in blocks_of_rows(len(at_left), left.vectors.shape[1]):
        products = left.vectors[at_left[some]].astype(np.float64)
        products *= right.vectors[at_right[some]].astype(np.float64)
        products.sum(axis=1, out=cosines[some])
    cosines /= np.sqrt(left.squares[at_left] * right.squares[at_right])
    return np.clip(cosines, -1.0, 1.0) + 0.0


def best_first(scores: Scores, numbers: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
    """The order of each row (m, w) by (-score, number); numbers are in the order of ids."""
    return np.lexsort((numbers, -scores), axis=1)
