"""GET /reports"""

from shared.auth import Caller
from shared.database import ReportRepository
from shared.http import endpoint
from shared.models.report import ListReports, Report, ReportList


@endpoint("GET", "/reports")
def handler(caller: Caller, query: ListReports) -> ReportList:
    """A page of the caller's reports, newest first; `include_total` counts them all, which reads the whole index."""
    page = ReportRepository.list_reports(caller.user_id, query.limit, query.cursor)
    return ReportList(
        reports=[Report.of(report) for report in page.reports],
        next_cursor=page.next_cursor,
        has_more=page.next_cursor is not None,
        total=ReportRepository.count_reports(caller.user_id) if query.include_total else None,
    )
