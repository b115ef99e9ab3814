"""POST /reports/{report_id}/search"""

from shared.auth import Caller
from shared.database import ReportRepository
from shared.errors import Forbidden
from shared.http import endpoint
from shared.models.embedding import SearchOptions, SearchResult
from shared.models.report import ReportId
from shared.similarity.search import Reference, search

from ..embeddings.catalogues import owner_to_read
from ..embeddings.hits import search_result
from .reference import reference_product_id

_POINTER = "/body/embedding_vector"
"""What a caller can give where the report's reference does not do."""


@endpoint("POST", "/reports/{report_id}/search", refusals=(Forbidden,), limited_as="searches")
def handler(caller: Caller, report_id: ReportId, body: SearchOptions) -> SearchResult:
    """The products most like the report's reference, or like a vector in the body; each says if it is a favourite."""
    report = ReportRepository.get_report(report_id, caller.user_id)
    product_id = reference_product_id(report, _POINTER) if body.embedding_vector is None else None
    reference = Reference(body.embedding_vector, product_id, _POINTER)
    hits = search(owner_to_read(caller, body.catalogue), body, reference)
    return search_result(hits, body, report.favorites)
