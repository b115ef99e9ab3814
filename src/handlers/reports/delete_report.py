"""DELETE /reports/{report_id}"""

from shared.auth import Caller
from shared.database import ReportRepository, Terms
from shared.http import endpoint
from shared.models.report import ReportId


@endpoint("DELETE", "/reports/{report_id}", honours=("If-Match",))
def handler(caller: Caller, report_id: ReportId, terms: Terms) -> None:
    """Delete one of the caller's reports."""
    ReportRepository.delete_report(report_id, caller.user_id, terms.versions)
