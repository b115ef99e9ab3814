"""Maximal marginal relevance: results that are like the query and unlike each other.

Carbonell and Goldstein, "The use of MMR, diversity-based reranking for reordering documents and producing summaries",
SIGIR 1998: of the documents d not yet selected, the next is the one with the largest

    lambda sim(d, query) - (1 - lambda) max over the selected s of sim(d, s)

Here lambda is 1 - diversity, and both similarities are cosines.
"""

from collections.abc import Sequence

import numpy as np

from .metrics import Float32s, Float64s, exact, squared_norms

_LEAST_POOL, _POOL_PER_HIT = 100, 4


def pool_size(top_k: int) -> int:
    """How many of the plain ranking's best a selection of `top_k` is made from."""
    return max(_LEAST_POOL, _POOL_PER_HIT * top_k)


def select(ids: Sequence[str], vectors: Float32s, relevance: Float64s, count: int, diversity: float) -> list[int]:
    """Places of up to `count` of m rows, in the order of selection; ties go to the lower id.

    `vectors` is float32 (m, d), `relevance` float64 (m,) the cosines with the query, 0 <= diversity <= 1. The first to
    be selected is the most relevant one, also where diversity is 1 and the formula tells none apart.
    """
    by_id = np.array(sorted(range(len(ids)), key=ids.__getitem__), dtype=np.intp)
    vectors, relevance = vectors[by_id], relevance[by_id]
    squares = squared_norms(vectors)
    closest = np.full(len(by_id), -np.inf)
    values = relevance
    selected: list[int] = []
    while len(selected) < min(count, len(by_id)):
        selected.append(int(values.argmax()))
        newest = vectors[selected[-1]]
        np.maximum(closest, exact("cosine", vectors, newest, squares=squares), out=closest)
        values = (1 - diversity) * relevance - diversity * closest
        values[selected] = -np.inf
    return [int(by_id[place]) for place in selected]
