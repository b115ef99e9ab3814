"""A write whose answer got lost, and whose report was deleted and made again before it was tried once more.

The new row cannot know what was made of the former one, so a refusal of it refuses nothing: the outcome is unknown.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError
from moto.core.models import botocore_stubber

from shared.database import DatabaseManager, DBReport, ReportRepository, Terms, WriteId
from shared.errors import InvalidRequest, OutcomeUnknown, PreconditionFailed
from shared.models.fields import timestamp
from tests.support.faults import Fault, faulty

OWNER = "alice"
KEY = WriteId("the-id", "the-content")


@pytest.fixture
def reports(manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> ReportRepository:
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda seconds: None))
    return ReportRepository(manager)


def report(seconds_ago: float = 0) -> DBReport:
    made = timestamp(datetime.now(UTC) - timedelta(seconds=seconds_ago))
    return DBReport(id=KEY.id, user_id=OWNER, title="0", created_at=made)


def losing(between: Callable[[], object]) -> Fault:
    """A try whose answer gets lost; then `between` happens."""

    def fault(request: AWSPreparedRequest) -> AWSResponse:
        botocore_stubber("before-send", request)
        between()
        raise ConnectionClosedError(endpoint_url=request.url)

    return fault


def test_a_stale_update_is_unknown(manager: DatabaseManager, reports: ReportRepository) -> None:
    reports.create_report(report(60), write=KEY)

    def make_again() -> None:
        assert reports.get_report(KEY.id, OWNER).title == "mine"
        reports.delete_report(KEY.id, OWNER)
        reports.create_report(report(), write=KEY)
        reports.update_report(KEY.id, OWNER, {"title": "theirs"})

    with faulty(manager, losing(make_again), times=1) as fault, pytest.raises(OutcomeUnknown):
        reports.update_report(KEY.id, OWNER, {"title": "mine"}, Terms(versions=[1]))
    assert fault.fired == 1


def test_a_stale_delete_is_unknown(manager: DatabaseManager, reports: ReportRepository) -> None:
    reports.create_report(report(60), write=KEY)

    def make_again() -> None:
        reports.create_report(report(), write=KEY)
        reports.update_report(KEY.id, OWNER, {"title": "theirs"})

    with faulty(manager, losing(make_again), times=1) as fault, pytest.raises(OutcomeUnknown):
        reports.delete_report(KEY.id, OWNER, versions=[1])
    assert fault.fired == 1


def test_a_create_under_a_key_that_has_other_content_by_now_is_unknown(
    manager: DatabaseManager, reports: ReportRepository
) -> None:
    def make_another() -> None:
        reports.delete_report(KEY.id, OWNER)
        reports.create_report(report(), write=WriteId(KEY.id, "other-content"))

    with faulty(manager, losing(make_another), times=1) as fault, pytest.raises(OutcomeUnknown):
        reports.create_report(report(), write=KEY)
    assert fault.fired == 1


def test_a_report_that_was_there_before_refuses(manager: DatabaseManager, reports: ReportRepository) -> None:
    """It is the one that every try met, so that the refusal is of them all."""
    reports.create_report(report(60), write=KEY)
    reports.update_report(KEY.id, OWNER, {"title": "theirs"})
    stale, other = Terms(versions=[1]), WriteId(KEY.id, "other-content")
    lost = losing(lambda: None)
    with faulty(manager, lost, times=1) as fault, pytest.raises(PreconditionFailed):
        reports.update_report(KEY.id, OWNER, {"title": "mine"}, stale)
    assert fault.fired == 1
    with faulty(manager, lost, times=1) as fault, pytest.raises(PreconditionFailed):
        reports.delete_report(KEY.id, OWNER, versions=[1])
    assert fault.fired == 1
    with faulty(manager, lost, times=1) as fault, pytest.raises(InvalidRequest):
        reports.create_report(report(), write=other)
    assert fault.fired == 1


def test_a_new_report_knows_what_was_made_of_it(manager: DatabaseManager, reports: ReportRepository) -> None:
    with faulty(manager, losing(lambda: None), times=1) as fault:
        assert reports.create_report(report(), write=KEY).version == 1
    assert fault.fired == 1
    with faulty(manager, losing(lambda: None), times=1) as fault:
        assert reports.update_report(KEY.id, OWNER, {"title": "mine"}, Terms(versions=[1])).version == 2
    assert fault.fired == 1
