"""GET /embeddings"""

from shared.auth import Caller
from shared.database import EmbeddingRepository, ModelVersionRepository
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.embedding import Embedding, EmbeddingList, ListEmbeddings

from .catalogues import owner_to_read


@endpoint("GET", "/embeddings", refusals=(Forbidden,))
def handler(caller: Caller, query: ListEmbeddings) -> EmbeddingList:
    """A page of a model version's embeddings, newest change first."""
    owner = owner_to_read(caller, query.catalogue)
    ModelVersionRepository.require_dimension(owner, query.model_version, "/query/model_version")
    page = EmbeddingRepository.list_embeddings(
        owner,
        query.model_version,
        query.limit,
        query.cursor,
        include_vectors=query.include_vectors,
    )
    return EmbeddingList(
        embeddings=[Embedding.of(row, include_vector=query.include_vectors) for row in page.embeddings],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
    )
