"""DELETE /embeddings/{product_id}"""

from shared.auth import Caller
from shared.database import EmbeddingRepository, Terms
from shared.errors import Conflict, Forbidden
from shared.http import endpoint
from shared.models.embedding import EmbeddedProductId, EmbeddingKey

from .catalogues import owner_to_write


@endpoint("DELETE", "/embeddings/{product_id}", refusals=(Forbidden, Conflict))
def handler(caller: Caller, product_id: EmbeddedProductId, query: EmbeddingKey, terms: Terms) -> None:
    """Delete one product's embedding."""
    owner = owner_to_write(caller, query.catalogue)
    EmbeddingRepository.delete_embedding(product_id, owner, query.model_version, terms)
