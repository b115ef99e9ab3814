"""What a search should find: every product compared, in float64, by the plainest formula there is."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .violation import require

Vector = Sequence[float]
_TOLERANCE = 1e-9


def score(metric: str, vector: Vector, reference: Vector) -> float:
    one, other = np.asarray(vector, np.float64), np.asarray(reference, np.float64)
    if metric == "dot":
        return float(one @ other)
    if metric == "euclidean":
        return -float(np.sqrt(((one - other) ** 2).sum()))
    return float(one @ other / np.sqrt((one @ one) * (other @ other)))


def require_best(found: Sequence[Mapping[str, Any]], scores: Mapping[str, float], top: int, what: str) -> None:
    """The `top` best of these scores, best first, in whatever order those that are equal have; and no others."""
    ids = [hit["product_id"] for hit in found]
    require(len(set(ids)) == len(ids), f"{what}: a product is found twice: {ids}")
    require(set(ids) <= set(scores), f"{what}: found what should not be: {set(ids) - set(scores)}; all are {scores}")
    expected = sorted(scores.values(), reverse=True)[:top]
    given = [hit["score"] for hit in found]
    require(len(given) == len(expected), f"{what}: found {ids} of {scores}, {top} at most")
    for hit, best in zip(found, expected, strict=True):
        right = scores[hit["product_id"]]
        is_right = abs(hit["score"] - right) <= _near(right) and abs(hit["score"] - best) <= _near(best)
        require(is_right, f"{what}: {hit['product_id']} scores {hit['score']}, not {right}, with {best} in its place")
    ties = [(one, other) for one, other in pairwise(found) if one["score"] == other["score"]]
    require(all(one["product_id"] < other["product_id"] for one, other in ties), f"{what}: ties by id: {found}")


def _near(number: float) -> float:
    return _TOLERANCE * max(1.0, abs(number))
