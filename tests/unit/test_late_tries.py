"""A try that the SDK gave up, and that the database applies after the request was answered: it changes nothing more."""

from types import SimpleNamespace

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError
from moto.core.models import botocore_stubber

from shared.database import DatabaseManager, DBReport, ReportRepository
from shared.database import reports as reports_module
from shared.errors import Conflict, OutcomeUnknown
from tests.support.faults import Fault, faulty

OWNER = "alice"
_EARLIER = "2026-01-01T00:00:00.000000Z"


@pytest.fixture
def reports(manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> ReportRepository:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr(reports_module, "MAX_FAVORITES", 1)
    return ReportRepository(manager)


def delaying(late: list[AWSPreparedRequest]) -> Fault:
    def fault(request: AWSPreparedRequest) -> AWSResponse:
        late.append(request)
        raise ReadTimeoutError(endpoint_url=request.url)

    return fault


@pytest.mark.parametrize("product", ["held", "other"])
def test_a_favorite_is_not_added_after_it_was_said_to_be_there_or_to_have_no_room(
    manager: DatabaseManager, reports: ReportRepository, monkeypatch: pytest.MonkeyPatch, product: str
) -> None:
    """Another process removes one, by a clock that is behind: its write does not make the late try too old."""
    row = reports.create_report(DBReport(user_id=OWNER, title="t", favorites={"held"}, created_at=_EARLIER))
    late: list[AWSPreparedRequest] = []
    with faulty(manager, delaying(late), times=1) as fault, pytest.raises(OutcomeUnknown):
        reports.add_favorite(row.id, OWNER, product)
    assert fault.fired == 1
    monkeypatch.setattr("shared.database.writes.now", lambda: "2026-01-01T00:00:01.000000Z")
    reports.remove_favorite(row.id, OWNER, "held")
    botocore_stubber("before-send", late[0])
    assert reports.get_report(row.id, OWNER).favorites == {product}  # as an unknown outcome may have it


@pytest.mark.parametrize("product", ["held", "other"])
def test_what_the_row_says_holds_once_its_time_is_later(
    manager: DatabaseManager, reports: ReportRepository, product: str
) -> None:
    """No late try can change a row of a later time, so the guard's word is kept."""
    row = reports.create_report(DBReport(user_id=OWNER, title="t", created_at=_EARLIER))

    def add_held(request: AWSPreparedRequest) -> AWSResponse:
        reports.add_favorite(row.id, OWNER, "held")
        raise ReadTimeoutError(endpoint_url=request.url)

    with faulty(manager, add_held, times=1) as fault:
        if product == "held":
            assert reports.add_favorite(row.id, OWNER, product).version == 2
        else:
            with pytest.raises(Conflict):
                reports.add_favorite(row.id, OWNER, product)
    assert fault.fired == 1
