"""PUT /reports/{report_id}/favorites/{product_id}"""

from shared.auth import Caller
from shared.database import ReportRepository, Terms
from shared.errors import Conflict
from shared.http import endpoint
from shared.models.fields import ProductId
from shared.models.report import Favorites, ReportId

from . import growth


@endpoint("PUT", "/reports/{report_id}/favorites/{product_id}", refusals=(Conflict,), grows=growth.of_favorite)
def handler(caller: Caller, report_id: ReportId, product_id: ProductId, terms: Terms) -> Favorites:
    """Make a product a favourite of the report."""
    return Favorites.of(ReportRepository.add_favorite(report_id, caller.user_id, product_id, terms))
