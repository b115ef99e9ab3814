"""POST /embeddings/search"""

from shared.auth import Caller
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.embedding import SearchEmbeddings, SearchResult
from shared.similarity.search import Reference, search

from .catalogues import owner_to_read
from .hits import search_result


@endpoint("POST", "/embeddings/search", refusals=(Forbidden,), limited_as="searches")
def handler(caller: Caller, body: SearchEmbeddings) -> SearchResult:
    """The products most like a vector, or like a product, which is not found itself; best first."""
    reference = Reference(body.embedding_vector, body.product_id)
    return search_result(search(owner_to_read(caller, body.catalogue), body, reference), body)
