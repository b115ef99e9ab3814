"""POST /embeddings/batch"""

from shared.auth import Caller
from shared.database import DBProductEmbedding, EmbeddingRepository, Terms
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.embedding import BatchResult, StoreEmbeddings

from . import growth
from .batch import read_items, results
from .catalogues import owner_to_write, profile_of
from .preconditions import refuse_if_match


@endpoint("POST", "/embeddings/batch", refusals=(Forbidden,), honours=("Idempotency-Key",), grows=growth.of_batch)
def handler(caller: Caller, body: StoreEmbeddings, terms: Terms) -> BatchResult:
    """Store up to 100 embeddings; what became of each, in order. A bad item does not stop the good ones."""
    refuse_if_match(terms)
    owner = owner_to_write(caller, body.catalogue)
    items = read_items(body.items, owner)
    good = {index: item for index, item in enumerate(items) if isinstance(item, DBProductEmbedding)}
    outcomes = EmbeddingRepository.store_embeddings(list(good.values()), terms.write, profile=profile_of(caller, owner))
    return results(body.items, items, dict(zip(good, outcomes, strict=True)))
