"""GET /reports/{report_id}"""

from shared.auth import Caller
from shared.database import ReportRepository
from shared.http import endpoint
from shared.models.report import Report, ReportId


@endpoint("GET", "/reports/{report_id}")
def handler(caller: Caller, report_id: ReportId) -> Report:
    """One of the caller's reports."""
    return Report.of(ReportRepository.get_report(report_id, caller.user_id))
