"""POST /reports"""

from shared.auth import Caller
from shared.database import ReportRepository, Terms, UserRepository
from shared.errors import Conflict, NotFound
from shared.http import endpoint
from shared.models.fields import MAX_NAME
from shared.models.report import CreateReport, DBReport, Report

from . import growth


@endpoint(
    "POST",
    "/reports",
    status=201,
    location="/reports/{id}",
    refusals=(Conflict,),
    honours=("Idempotency-Key",),
    grows=growth.of_create,
)
def handler(caller: Caller, body: CreateReport, terms: Terms) -> Report:
    """Create a report. The author defaults to the profile's name, the date to today (UTC)."""
    fields = {name: value for name, value in body if value is not None}
    if body.author is None:
        fields["author"] = _author(caller)
    report = DBReport(id=terms.write.id, user_id=caller.user_id, **fields)
    return Report.of(ReportRepository.create_report(report, write=terms.write))


def _author(caller: Caller) -> str:
    try:
        name = UserRepository.get_user(caller.user_id).name
    except NotFound:
        name = caller.name
    return (name or "")[:MAX_NAME]  # a row that no request wrote may hold more
