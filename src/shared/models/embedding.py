"""Embeddings: the stored row, the requests that store, change, find and delete it, and the answers."""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from .fields import OPAQUE, PatchModel, ProductId, QueryModel, RequestModel, ResponseModel, Timestamp, now
from .filters import FilterDocument
from .json_value import JsonObject, storable_within
from .vector import MAX_DIMENSION, Vector

MAX_PRODUCT_BYTES = 128 * 1024
MAX_BATCH = 100
MAX_PAGE = 100
MAX_TOP_K = 100
SHARED_OWNER = "shared"
"""The reserved tenant whose products every signed-in user may read."""

RESERVED_PRODUCT_IDS = frozenset({"batch", "delete", "map", "models", "search", "similarity"})
"""The words that stand where the routes of one embedding have its id."""

_MODEL_VERSION = r"[A-Za-z0-9][A-Za-z0-9._:@/+-]{0,127}"
_NO_PRODUCT_IDS = {".", "..", *RESERVED_PRODUCT_IDS}
_CONTINUATION = Annotated[str, StringConstraints(max_length=8192), OPAQUE]

Catalogue = Literal["own", "shared"]
Metric = Literal["cosine", "dot", "euclidean"]


def _model_version(text: str) -> str:
    if not re.fullmatch(_MODEL_VERSION, text):
        raise ValueError("must be 1 to 128 letters, digits or . _ : @ / + -, beginning with a letter or digit")
    return text


def _not_reserved(product_id: str) -> str:
    if product_id in (".", ".."):
        raise ValueError("must not be . or .., which no client can put into a path")
    if product_id in RESERVED_PRODUCT_IDS:
        raise ValueError(f"must not be one of the reserved words {', '.join(sorted(RESERVED_PRODUCT_IDS))}")
    return product_id


def _vector(value: object) -> Vector:
    """A vector of a list of numbers; bool is no number, though Python says so."""
    if isinstance(value, Vector):
        return value
    if not isinstance(value, list) or not 0 < len(value) <= MAX_DIMENSION:
        raise PydanticCustomError("vector", f"must be a list of 1 to {MAX_DIMENSION} numbers")
    if not set(map(type, value)) <= {int, float, Decimal}:
        raise PydanticCustomError("vector", "must hold numbers only")
    return _usable(value)


def _usable(numbers: Iterable[float | Decimal]) -> Vector:
    try:
        vector = Vector.of(numbers)
    except ValueError as error:
        raise PydanticCustomError("vector", "{reason}", {"reason": str(error)}) from error
    if vector.is_zero:
        raise PydanticCustomError("vector", "must not be all zero")
    return vector


def _as_float(value: object) -> object:
    """JSON's numbers are read exactly; a score is a float all the same."""
    return float(value) if isinstance(value, Decimal) else value


_MOST_DIGITS = 15


def _as_whole(value: object) -> object:
    """72.0 is an integer to JSON Schema, as RFC 8259, section 6, knows numbers of one kind alone."""
    if not isinstance(value, Decimal) or not value.is_finite() or value.adjusted() >= _MOST_DIGITS:
        return value
    return int(value) if value == value.to_integral_value() else value


Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_as_float)]
ModelVersion = Annotated[
    str, AfterValidator(_model_version), Field(json_schema_extra={"pattern": f"^{_MODEL_VERSION}$"})
]
EmbeddedProductId = Annotated[
    ProductId, AfterValidator(_not_reserved), Field(json_schema_extra={"not": {"enum": sorted(_NO_PRODUCT_IDS)}})
]
EmbeddingVector = Annotated[Vector, BeforeValidator(_vector), WithJsonSchema({"x-component": "Vector"})]
Product = Annotated[JsonObject, AfterValidator(storable_within(MAX_PRODUCT_BYTES))]


class DBProductEmbedding(BaseModel):
    """A row of the embeddings table: one product's vector under one model version of one owner (`user_id`)."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    product_id: EmbeddedProductId
    user_id: Annotated[str, Field(min_length=1, max_length=128)]
    model_version: ModelVersion
    embedding_vector: EmbeddingVector
    product: Product = Field(default_factory=dict)
    created_at: Timestamp = Field(default_factory=now)
    updated_at: Timestamp = Field(default_factory=lambda fields: fields["created_at"])
    version: int = 1
    vector_dimension: int = Field(default_factory=lambda fields: fields["embedding_vector"].dimension)
    """Also known where the vector itself was not read."""

    is_new: bool = False
    """Whether the store that this is the result of made it, rather than replaced another."""


class NewEmbedding(RequestModel):
    """A product to store, or to store anew; the components of `embedding_vector` become float32."""

    product_id: EmbeddedProductId
    model_version: ModelVersion
    embedding_vector: EmbeddingVector
    product: Product = Field(default_factory=dict)

    def stored_by(self, user_id: str) -> DBProductEmbedding:
        """The row that this becomes under an owner."""
        return DBProductEmbedding(
            user_id=user_id,
            product_id=self.product_id,
            model_version=self.model_version,
            embedding_vector=self.embedding_vector,
            product=self.product,
        )


class StoreEmbedding(NewEmbedding):
    catalogue: Catalogue = "own"


class StoreEmbeddings(RequestModel):
    """A batch. Its items are checked one by one, so that a bad one does not stop the good ones."""

    items: Annotated[
        list[Annotated[Any, WithJsonSchema({"x-component": "NewEmbedding"})]],
        Field(min_length=1, max_length=MAX_BATCH),
    ]
    catalogue: Catalogue = "own"


class UpdateProduct(PatchModel):
    """New product metadata, in place of the old as a whole; the vector stays."""

    product: Product = Field(default_factory=dict)


class EmbeddingKey(QueryModel):
    """The query that says which of a product's embeddings is meant."""

    model_version: ModelVersion
    catalogue: Catalogue = "own"


class ReadEmbedding(EmbeddingKey):
    """The query of `GET /embeddings/{product_id}`."""

    include_vectors: bool = True


class ListEmbeddings(EmbeddingKey):
    """The query of `GET /embeddings`."""

    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 20
    cursor: _CONTINUATION | None = None
    include_vectors: bool = False


class ReadNeighbors(EmbeddingKey):
    """The query of `GET /embeddings/similarity/{product_id}`: at most `limit` neighbours, the nearest."""

    limit: Annotated[int, Field(ge=1, le=MAX_TOP_K)] = MAX_TOP_K


class ListModels(QueryModel):
    """The query of `GET /embeddings/models`."""

    catalogue: Catalogue = "own"


class DeleteEmbeddings(RequestModel):
    """A step of deleting what a filter matches; `{}` matches everything, and has to be said."""

    model_version: ModelVersion
    filter: FilterDocument
    catalogue: Catalogue = "own"
    dry_run: bool = False
    continuation: _CONTINUATION | None = None


_DIVERSITY_IS_OF_COSINES: list[JsonValue] = [
    {"properties": {"metric": {"const": "cosine"}}},
    {"properties": {"diversity": {"const": 0}}},
]
_ONE_REFERENCE: list[JsonValue] = [
    {"required": [one], "properties": {one: {"not": {"type": "null"}}, other: {"type": "null"}}}
    for one, other in (("product_id", "embedding_vector"), ("embedding_vector", "product_id"))
]
"""What the validators below check, in the words of JSON Schema."""


class SearchOptions(RequestModel):
    """What every search takes."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _DIVERSITY_IS_OF_COSINES})

    model_version: ModelVersion
    embedding_vector: EmbeddingVector | None = None
    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K), BeforeValidator(_as_whole)] = 10
    min_score: Number | None = None
    filter: FilterDocument | None = None
    metric: Metric = "cosine"
    diversity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), BeforeValidator(_as_float)] = 0.0
    catalogue: Catalogue = "own"
    include_vectors: bool = False

    @model_validator(mode="after")
    def _diversity_is_of_cosines(self) -> Self:
        if self.diversity and self.metric != "cosine":
            raise ValueError("diversity compares products by their cosines; it goes with the metric cosine alone")
        return self


class SearchEmbeddings(SearchOptions):
    """A search by a vector, or by a product's own."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _DIVERSITY_IS_OF_COSINES, "oneOf": _ONE_REFERENCE})

    product_id: EmbeddedProductId | None = None

    @model_validator(mode="after")
    def _names_one_reference(self) -> Self:
        if (self.product_id is None) == (self.embedding_vector is None):
            raise ValueError("needs exactly one of embedding_vector and product_id")
        return self


class BuildMatrix(RequestModel):
    """The similarity matrix to build: the `k` nearest neighbours of every product."""

    model_version: ModelVersion
    k: Annotated[int, Field(ge=1, le=MAX_TOP_K), BeforeValidator(_as_whole)] = 10
    catalogue: Catalogue = "own"


class ScoreQuery(EmbeddingKey):
    """The query of `GET /reports/{report_id}/products/{product_id}`."""

    metric: Metric = "cosine"
    include_vectors: bool = False


def _is_none(value: object) -> bool:
    return value is None


class Embedding(ResponseModel):
    """A stored embedding as its readers see it; the vector only where it was asked for and JSON can hold it."""

    product_id: str
    model_version: str
    vector_dimension: int
    product: JsonObject
    created_at: str
    updated_at: str
    version: int
    embedding_vector: list[float] | None = Field(default=None, exclude_if=_is_none)

    @classmethod
    def of(cls, row: DBProductEmbedding, *, include_vector: bool = False) -> Self:
        vector = row.embedding_vector
        return cls.model_construct(
            product_id=row.product_id,
            model_version=row.model_version,
            vector_dimension=row.vector_dimension,
            product=row.product,
            created_at=row.created_at,
            updated_at=row.updated_at,
            version=row.version,
            embedding_vector=vector.tolist() if include_vector and vector.is_finite else None,
        )


class EmbeddingList(ResponseModel):
    """One page of embeddings, newest change first."""

    embeddings: list[Embedding]
    next_cursor: str | None
    has_more: bool


class ItemFault(ResponseModel):
    """Why an item of a batch was not stored; `pointer` (RFC 6901) leads into the request."""

    pointer: str
    message: str


class ItemResult(ResponseModel):
    """What became of one item of a batch: the status and slug that a request of its own would have had."""

    index: int
    product_id: str | None
    status: int
    version: int | None = Field(default=None, exclude_if=_is_none)
    problem: str | None = Field(default=None, exclude_if=_is_none)
    detail: str | None = Field(default=None, exclude_if=_is_none)
    errors: list[ItemFault] | None = Field(default=None, exclude_if=_is_none)


class BatchResult(ResponseModel):
    """The results in the order of the items."""

    results: list[ItemResult]
    stored: int
    failed: int


class DeleteResult(ResponseModel):
    """One step of a delete; go on with `continuation` until it is null."""

    dry_run: bool
    examined: int
    matched: int
    deleted: int
    continuation: str | None


class ModelSummary(ResponseModel):
    """One model version of an owner; `updated_at` is when its products last changed, null before they ever did.

    `count` is null where it could not be had in time.
    """

    model_version: str
    vector_dimension: int
    count: int | None
    updated_at: str | None


class ModelList(ResponseModel):
    models: list[ModelSummary]


class SearchHit(ResponseModel):
    """A product that was found; `is_favorite` only where a report asks."""

    product_id: str
    score: float
    product: JsonObject
    is_favorite: bool | None = Field(default=None, exclude_if=_is_none)
    embedding_vector: list[float] | None = Field(default=None, exclude_if=_is_none)


class SearchResult(ResponseModel):
    """The best hits first. In every metric the higher score is the nearer; `euclidean` is the negated distance."""

    model_version: str
    metric: Metric
    higher_is_better: Literal[True] = True
    hits: list[SearchHit]


class MatrixState(ResponseModel):
    """How the similarity matrix of a model version stands; `rows` and what follows are of the last one finished."""

    model_version: str
    state: Literal["absent", "queued", "running", "done", "failed"]
    k: int | None
    rows: int | None
    built_at: str | None
    is_stale: bool | None
    progress: float | None
    requested_at: str | None
    error: str | None


class Neighbor(ResponseModel):
    product_id: str
    score: float
    product: JsonObject


class Neighbors(ResponseModel):
    """One product's row of the similarity matrix: its nearest neighbours by cosine, as of `built_at`."""

    product_id: str
    model_version: str
    k: int
    built_at: str
    neighbors: list[Neighbor]


class ProductScore(ResponseModel):
    """One product beside a report's reference."""

    product_id: str
    reference_product_id: str
    metric: Metric
    higher_is_better: Literal[True] = True
    score: float
    product: JsonObject
    is_favorite: bool
    embedding_vector: list[float] | None = Field(default=None, exclude_if=_is_none)
