"""GET /reports/{report_id}/products/{product_id}"""

from shared.auth import Caller
from shared.database import EmbeddingRepository, ModelVersionRepository, ReportRepository
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.embedding import EmbeddedProductId, ProductScore, ScoreQuery
from shared.models.report import ReportId
from shared.similarity.search import reference_vector, require_comparable, score

from ..embeddings.catalogues import owner_to_read
from .reference import reference_product_id

_POINTER = "/path/report_id"


@endpoint("GET", "/reports/{report_id}/products/{product_id}", refusals=(Forbidden,))
def handler(caller: Caller, report_id: ReportId, product_id: EmbeddedProductId, query: ScoreQuery) -> ProductScore:
    """One product with its score against the report's reference."""
    report = ReportRepository.get_report(report_id, caller.user_id)
    owner = owner_to_read(caller, query.catalogue)
    reference_id = reference_product_id(report, _POINTER)
    dimension = ModelVersionRepository.require_dimension(owner, query.model_version, "/query/model_version")
    product = EmbeddingRepository.get_embedding(product_id, owner, query.model_version)
    reference = reference_vector(reference_id, owner, query.model_version, dimension, _POINTER)
    require_comparable(product.embedding_vector, dimension, "/path/product_id")
    return ProductScore(
        product_id=product_id,
        reference_product_id=reference_id,
        metric=query.metric,
        score=score(query.metric, product.embedding_vector, reference),
        product=product.product,
        is_favorite=product_id in report.favorites,
        embedding_vector=product.embedding_vector.tolist() if query.include_vectors else None,
    )
