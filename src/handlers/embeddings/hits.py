"""Hits of a search as an answer shows them."""

from collections.abc import Collection, Sequence

from shared.models.embedding import SearchHit, SearchOptions, SearchResult
from shared.similarity.index import Hit

from .answer_size import require_answer_size


def search_result(
    hits: Sequence[Hit], options: SearchOptions, favorites: Collection[str] | None = None
) -> SearchResult:
    """The answer of a search; with `favorites`, each hit says whether it is one. Raises as `require_answer_size`."""
    components = sum(hit.vector.dimension for hit in hits) if options.include_vectors else 0
    require_answer_size((hit.product for hit in hits), "/body/top_k", components=components)
    return SearchResult(
        model_version=options.model_version,
        metric=options.metric,
        hits=[
            SearchHit(
                product_id=hit.product_id,
                score=hit.score,
                product=hit.product,
                is_favorite=None if favorites is None else hit.product_id in favorites,
                embedding_vector=hit.vector.tolist() if options.include_vectors else None,
            )
            for hit in hits
        ],
    )
