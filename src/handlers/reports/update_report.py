"""PATCH /reports/{report_id}"""

from shared.auth import Caller
from shared.database import ReportRepository, Terms
from shared.errors import Conflict
from shared.http import endpoint
from shared.models.report import Report, ReportId, UpdateReport

from . import growth


@endpoint("PATCH", "/reports/{report_id}", refusals=(Conflict,), grows=growth.of_update)
def handler(caller: Caller, report_id: ReportId, body: UpdateReport, terms: Terms) -> Report:
    """Change the members that the body names; each replaces the old one as a whole."""
    return Report.of(ReportRepository.update_report(report_id, caller.user_id, body, terms))
