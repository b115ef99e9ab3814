"""GET /embeddings/similarity/{product_id}"""

from shared.auth import Caller
from shared.database import EmbeddingRepository, ModelVersionRepository
from shared.errors import Forbidden, NotFound
from shared.http import endpoint
from shared.models.embedding import EmbeddedProductId, Neighbor, Neighbors, ReadNeighbors
from shared.similarity.matrix import MatrixStore
from shared.similarity.objects import default_objects

from .answer_size import require_answer_size
from .catalogues import owner_to_read


@endpoint("GET", "/embeddings/similarity/{product_id}", refusals=(Forbidden,), limited_as="searches")
def handler(caller: Caller, product_id: EmbeddedProductId, query: ReadNeighbors) -> Neighbors:
    """A product's nearest neighbours as the last matrix has them, but for those deleted since."""
    owner = owner_to_read(caller, query.catalogue)
    ModelVersionRepository.require_dimension(owner, query.model_version, "/query/model_version")
    row = MatrixStore(default_objects(), owner, query.model_version).read_row(product_id)
    if row is None:
        raise _unknown_product()
    nearest = row.neighbours[: query.limit]
    wanted = [product_id, *(neighbour.product_id for neighbour in nearest)]
    products = EmbeddingRepository.get_products(wanted, owner, query.model_version)
    if product_id not in products:
        raise _unknown_product()
    require_answer_size(products.values(), "/query/limit")
    return Neighbors(
        product_id=product_id,
        model_version=query.model_version,
        k=row.matrix.k,
        built_at=row.matrix.built_at,
        neighbors=[
            Neighbor(product_id=found.product_id, score=found.score, product=products[found.product_id])
            for found in nearest
            if found.product_id in products
        ],
    )


def _unknown_product() -> NotFound:
    return NotFound("The similarity matrix has no such product.")
