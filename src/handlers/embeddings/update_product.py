"""PATCH /embeddings/{product_id}"""

from shared.auth import Caller
from shared.database import EmbeddingRepository, Terms
from shared.errors import Conflict, Forbidden
from shared.http import endpoint
from shared.models.embedding import EmbeddedProductId, Embedding, EmbeddingKey, UpdateProduct

from . import growth
from .catalogues import owner_to_write


@endpoint("PATCH", "/embeddings/{product_id}", refusals=(Forbidden, Conflict), grows=growth.of_update)
def handler(
    caller: Caller, product_id: EmbeddedProductId, query: EmbeddingKey, body: UpdateProduct, terms: Terms
) -> Embedding:
    """Replace the product's metadata as a whole; the vector stays."""
    owner = owner_to_write(caller, query.catalogue)
    return Embedding.of(EmbeddingRepository.update_product(product_id, owner, query.model_version, body, terms))
