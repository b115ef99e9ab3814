"""Searching for a caller: what is checked first, and what an answer may hold."""

from dataclasses import dataclass

import numpy as np

from ..database.embeddings import EmbeddingRepository
from ..database.model_versions import ModelVersionRepository, check_dimension
from ..errors import FieldError, InvalidRequest, NotFound
from ..models.embedding import Metric, SearchOptions
from ..models.vector import Vector
from .cache import default_cache
from .index import Hit, Query
from .metrics import exact, squared_norms


@dataclass(frozen=True, slots=True)
class Reference:
    """What a search is for: a vector, or a product, which is not to be found itself.

    `pointer` leads to where the request names the product.
    """

    vector: Vector | None = None
    product_id: str | None = None
    pointer: str = "/body/product_id"


def search(owner: str, options: SearchOptions, reference: Reference) -> list[Hit]:
    """The products of the owner's catalogue that are most like the reference, best first.

    Raises InvalidRequest for an unknown model version or product and for a vector of another dimension; Unavailable or
    TooManyRequests as `IndexCache.search` does.
    """
    declared = ModelVersionRepository.require_declaration(owner, options.model_version, "/body/model_version")
    dimension = declared.dimension
    if reference.vector is None:
        product_id = reference.product_id or ""
        vector = reference_vector(product_id, owner, options.model_version, dimension, reference.pointer)
    else:
        vector = reference.vector
        check_dimension(vector.dimension, dimension, options.model_version)
    query = Query(
        np.frombuffer(vector.data, "<f4"),
        options.metric,
        options.top_k,
        options.min_score,
        options.filter,
        reference.product_id if reference.vector is None else None,
        options.diversity,
    )
    return default_cache().search(owner, options.model_version, dimension, query, declared_at=declared.declared_at)


def score(metric: Metric, vector: Vector, reference: Vector) -> float:
    """The score that a search gives the vector for this reference."""
    row = np.frombuffer(vector.data, "<f4").reshape(1, -1)
    scores = exact(metric, row, np.frombuffer(reference.data, "<f4"), squares=squared_norms(row))
    return float(scores[0])


def is_comparable(vector: Vector, dimension: int) -> bool:
    """Whether it has that dimension and a direction; a vector of another origin may not."""
    return vector.dimension == dimension and vector.is_finite and not vector.is_zero


def require_comparable(vector: Vector, dimension: int, pointer: str) -> None:
    """Raises InvalidRequest, at the product that it is of, for a stored vector of another origin that has no direction,
    or another dimension."""
    if not is_comparable(vector, dimension):
        reason = f"has no vector of {dimension} finite components, not all zero; store it anew"
        raise InvalidRequest("The stored vector cannot be compared.", errors=[FieldError(pointer, reason)])


def reference_vector(product_id: str, owner: str, model_version: str, dimension: int, pointer: str) -> Vector:
    """The stored vector of the product that others are compared with.

    Raises InvalidRequest, at the member that names it, for one that there is not, and as `require_comparable`.
    """
    try:
        vector = EmbeddingRepository.get_embedding(product_id, owner, model_version).embedding_vector
    except NotFound as error:
        reason = "is no product of this catalogue under that model_version"
        raise InvalidRequest("The reference product is unknown.", errors=[FieldError(pointer, reason)]) from error
    require_comparable(vector, dimension, pointer)
    return vector
