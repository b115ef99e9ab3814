"""POST /embeddings"""

from urllib.parse import quote

from shared.auth import Caller
from shared.database import EmbeddingRepository, Terms
from shared.errors import Conflict, Forbidden
from shared.http import Answer, endpoint
from shared.models.embedding import Embedding, StoreEmbedding

from . import growth
from .catalogues import owner_to_write, profile_of, query_of


@endpoint(
    "POST", "/embeddings", status=201, other_statuses=(200,), refusals=(Forbidden, Conflict), grows=growth.of_store
)
def handler(caller: Caller, body: StoreEmbedding, terms: Terms) -> Answer[Embedding]:
    """Store a product's embedding: 201 where it is new, 200 where it replaces another."""
    owner = owner_to_write(caller, body.catalogue)
    stored = EmbeddingRepository.store_embedding(body.stored_by(owner), terms, profile=profile_of(caller, owner))
    result = Embedding.of(stored)
    if not stored.is_new:
        return Answer(result, 200)
    place = f"/embeddings/{quote(body.product_id, safe='')}?{query_of(body.model_version, body.catalogue)}"
    return Answer(result, 201, place)
