"""What a search asks, and what it finds."""

from dataclasses import dataclass

from ..models.embedding import Metric
from ..models.filters import Filter
from ..models.json_value import JsonObject
from ..models.vector import Vector
from .metrics import Float32s


@dataclass(frozen=True, eq=False, slots=True)
class Query:
    """The `top_k` (at least 1) rows that score highest with `vector`, float32 (d,), among those that it allows."""

    vector: Float32s
    """Finite; with cosine not all zero, or every score is 0."""

    metric: Metric = "cosine"
    top_k: int = 10
    min_score: float | None = None
    filter: Filter | None = None
    exclude: str | None = None
    """A product id that is not to be found, such as the query's own."""

    diversity: float = 0.0
    """0 for the plain ranking, up to 1; with cosine only (see `diversity`)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One row that was found; a higher score is better in every metric."""

    product_id: str
    score: float
    product: JsonObject
    vector: Vector
