"""What every search takes."""

from collections.abc import Iterable, Mapping
from typing import Any

from ..api import given
from ..json_text import float32
from ..models.embeddings import Catalogue, Metric


def search_body(
    model_version: str,
    embedding_vector: Iterable[float] | None,
    top_k: int | None,
    min_score: float | None,
    filter: Mapping[str, Any] | None,
    metric: Metric | None,
    diversity: float | None,
    catalogue: Catalogue | None,
    include_vectors: bool | None,
) -> dict[str, object]:
    return given(
        model_version=model_version,
        embedding_vector=None if embedding_vector is None else float32(embedding_vector),
        top_k=top_k,
        min_score=min_score,
        filter=filter,
        metric=metric,
        diversity=diversity,
        catalogue=catalogue,
        include_vectors=include_vectors,
    )
