"""The similarity matrix of a model version."""

from dataclasses import dataclass

from .json_documents import JsonObject


@dataclass(frozen=True, slots=True)
class MatrixState:
    """How the matrix stands: `state` is absent, queued, running, done or failed; `rows` and what follows are of the
    last build that was finished."""

    model_version: str
    state: str
    k: int | None
    rows: int | None
    built_at: str | None
    is_stale: bool | None
    progress: float | None
    requested_at: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Neighbor:
    product_id: str
    score: float
    product: JsonObject


@dataclass(frozen=True, slots=True)
class Neighbors:
    """One product's row of the matrix, the nearest first, as of `built_at`."""

    product_id: str
    model_version: str
    k: int
    built_at: str
    neighbors: tuple[Neighbor, ...]
