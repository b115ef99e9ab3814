"""Embeddings: what is stored, found and deleted. Times are RFC 3339 in UTC, as the API writes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from .json_documents import JsonObject

Catalogue = Literal["own", "shared"]
Metric = Literal["cosine", "dot", "euclidean"]


@dataclass(frozen=True, slots=True)
class NewEmbedding:
    """A product to store: the vector may be any iterable of numbers, a numpy array as well, and is kept as float32."""

    product_id: str
    model_version: str
    embedding_vector: Iterable[float]
    product: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Embedding:
    """A stored embedding; its vector only where it was asked for."""

    product_id: str
    model_version: str
    vector_dimension: int
    product: JsonObject
    created_at: str
    updated_at: str
    version: int
    embedding_vector: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class EmbeddingList:
    """One page of embeddings, newest change first; it may be empty and not the last."""

    embeddings: tuple[Embedding, ...]
    next_cursor: str | None
    has_more: bool


@dataclass(frozen=True, slots=True)
class ItemFault:
    """Why an item of a batch was not stored; `pointer` (RFC 6901) leads into the request."""

    pointer: str
    message: str


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item of a batch: the status that it would have had by itself, and the problem's name."""

    index: int
    product_id: str | None
    status: int
    version: int | None = None
    problem: str | None = None
    detail: str | None = None
    errors: tuple[ItemFault, ...] | None = None


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The results in the order of the items."""

    results: tuple[ItemResult, ...]
    stored: int
    failed: int


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """One step of a delete; go on with `continuation` until it is None."""

    dry_run: bool
    examined: int
    matched: int
    deleted: int
    continuation: str | None


@dataclass(frozen=True, slots=True)
class ModelSummary:
    """One model version; `count` is None where it could not be had in time."""

    model_version: str
    vector_dimension: int
    count: int | None
    updated_at: str | None


@dataclass(frozen=True, slots=True)
class ModelList:
    models: tuple[ModelSummary, ...]


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A product that was found; `is_favorite` only where a report asks."""

    product_id: str
    score: float
    product: JsonObject
    is_favorite: bool | None = None
    embedding_vector: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The best hits first. In every metric the higher score is the nearer."""

    model_version: str
    metric: str
    hits: tuple[SearchHit, ...]
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class ProductScore:
    """One product beside a report's reference."""

    product_id: str
    reference_product_id: str
    metric: str
    score: float
    product: JsonObject
    is_favorite: bool
    higher_is_better: bool = True
    embedding_vector: tuple[float, ...] | None = None
