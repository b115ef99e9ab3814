"""GET /embeddings/{product_id}"""

from shared.auth import Caller
from shared.database import EmbeddingRepository
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.embedding import EmbeddedProductId, Embedding, ReadEmbedding

from .catalogues import owner_to_read


@endpoint("GET", "/embeddings/{product_id}", refusals=(Forbidden,))
def handler(caller: Caller, product_id: EmbeddedProductId, query: ReadEmbedding) -> Embedding:
    """One product's embedding, with its vector unless that is declined."""
    owner = owner_to_read(caller, query.catalogue)
    row = EmbeddingRepository.get_embedding(product_id, owner, query.model_version)
    return Embedding.of(row, include_vector=query.include_vectors)
