"""GET /reports/{report_id}/favorites"""

from shared.auth import Caller
from shared.database import ReportRepository
from shared.http import endpoint
from shared.models.report import Favorites, ReportId


@endpoint("GET", "/reports/{report_id}/favorites")
def handler(caller: Caller, report_id: ReportId) -> Favorites:
    """The ids of the report's favourite products."""
    return Favorites.of(ReportRepository.get_report(report_id, caller.user_id))
