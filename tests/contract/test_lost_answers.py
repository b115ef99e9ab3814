"""A write that was applied and whose answer got lost: the client sees it once, the data has it once, nobody is undone.

The proxy drops the answer after the engine applied the write, so that the SDK sends it again. `between` lets other
writers in before it does.
"""

import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from shared.database import DBReport, DBUser, ReportRepository, Terms, UserRepository
from shared.errors import ApiError, NotFound, OutcomeUnknown, PreconditionFailed
from tests.support.engines import Engine
from tests.support.lossy_proxy import LossyProxy, lossy_proxy


@pytest.fixture(params=["ministack", "dynoxide"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engines that a proxy can stand in front of: moto has no socket."""
    running: Engine = request.getfixturevalue(request.param)
    return running


@pytest.fixture
def proxy(engine: Engine) -> Iterator[LossyProxy]:
    assert engine.endpoint
    with lossy_proxy(engine.endpoint) as running:
        yield running


@pytest.fixture
def lossy(engine: Engine, proxy: LossyProxy) -> ReportRepository:
    """Reports through the proxy; `reports` goes to the engine directly."""
    return ReportRepository(engine.manager(proxy.endpoint))


@pytest.fixture
def report(reports: ReportRepository, alice: str) -> DBReport:
    return reports.create_report(DBReport(user_id=alice, title="0", favorites={"old"}))


def test_a_create_happens_once(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, alice: str
) -> None:
    proxy.lose("PutItem", times=2)
    made = lossy.create_report(DBReport(user_id=alice, title="Once"))
    assert proxy.fired == 2
    assert reports.list_reports(alice).reports == [made]
    assert made.version == 1


def test_a_create_is_recognised_after_others_changed_the_row(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, alice: str
) -> None:
    def change_five_times() -> None:
        (row,) = reports.list_reports(alice).reports
        for number in range(5):
            reports.update_report(row.id, alice, {"title": str(number)})

    proxy.lose("PutItem", between=change_five_times)
    assert lossy.create_report(DBReport(user_id=alice, title="Once")).title == "4"
    assert proxy.fired == 1


def test_an_update_happens_once(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    proxy.lose("UpdateItem", times=2)
    changed = lossy.update_report(report.id, alice, {"title": "1"}, Terms(versions=[1]))
    assert proxy.fired == 2
    assert (changed.title, changed.version) == ("1", 2)
    assert reports.get_report(report.id, alice) == changed


def test_a_retried_update_does_not_undo_another(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    proxy.lose("UpdateItem", between=lambda: reports.update_report(report.id, alice, {"title": "theirs"}))
    assert lossy.update_report(report.id, alice, {"title": "mine"}).title == "theirs"
    assert proxy.fired == 1
    assert reports.get_report(report.id, alice).version == 3


def test_an_update_that_the_register_has_lost_is_unknown(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    def write_four_times() -> None:
        for number in range(4):
            reports.update_report(report.id, alice, {"title": str(number)})

    proxy.lose("UpdateItem", between=write_four_times)
    with pytest.raises(OutcomeUnknown):
        lossy.update_report(report.id, alice, {"title": "mine"})
    assert proxy.fired == 1
    assert reports.get_report(report.id, alice).title == "3"


def test_an_update_of_a_row_that_was_deleted_meanwhile_is_unknown(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    proxy.lose("UpdateItem", between=lambda: reports.delete_report(report.id, alice))
    with pytest.raises(OutcomeUnknown):
        lossy.update_report(report.id, alice, {"title": "mine"})
    assert proxy.fired == 1


def test_a_lost_refusal_stays_a_refusal(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    reports.update_report(report.id, alice, {"title": "1"})
    proxy.lose("UpdateItem")
    with pytest.raises(PreconditionFailed):
        lossy.update_report(report.id, alice, {"title": "2"}, Terms(versions=[1]))
    assert proxy.fired == 1


def test_an_update_whose_every_answer_is_lost_is_unknown(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    proxy.lose("UpdateItem", times=3)
    with pytest.raises(OutcomeUnknown):
        lossy.update_report(report.id, alice, {"title": "1"})
    assert proxy.fired == 3
    assert reports.get_report(report.id, alice).version == 2


def test_a_delete_happens_once(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    proxy.lose("DeleteItem", times=2)
    lossy.delete_report(report.id, alice)
    assert proxy.fired == 2
    with pytest.raises(NotFound):
        reports.get_report(report.id, alice)


def test_a_delete_of_one_version_is_unknown(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    """The row is gone, but another may have deleted it, at another version."""
    proxy.lose("DeleteItem")
    with pytest.raises(OutcomeUnknown):
        lossy.delete_report(report.id, alice, versions=[1])
    assert proxy.fired == 1
    with pytest.raises(NotFound):
        reports.get_report(report.id, alice)


@pytest.mark.parametrize("versions", [None, [1]])
def test_a_loss_does_not_tell_foreign_from_missing(
    proxy: LossyProxy,
    lossy: ReportRepository,
    reports: ReportRepository,
    report: DBReport,
    alice: str,
    bob: str,
    versions: list[int] | None,
) -> None:
    """Of a delete and of an update: the same answer for both rows, and the foreign one stays as it is."""
    answers = []
    for report_id in (report.id, str(uuid.uuid4())):
        proxy.lose("DeleteItem")
        answers.append(_outcome(partial(lossy.delete_report, report_id, bob, versions)))
        assert proxy.fired == 1
        proxy.lose("UpdateItem")
        answers.append(_outcome(partial(lossy.update_report, report_id, bob, {"title": "X"}, Terms(versions=versions))))
        assert proxy.fired == 1
    assert answers[:2] == answers[2:]
    assert reports.get_report(report.id, alice) == report


def _outcome(call: Callable[[], object]) -> str:
    try:
        return repr(call())
    except ApiError as error:
        return repr(error)


@pytest.mark.parametrize(
    ("operation", "argument", "favorites"),
    [
        ("add_favorite", "new", {"old", "new"}),
        ("remove_favorite", "old", set()),
        ("replace_favorites", ["a", "b"], {"a", "b"}),
    ],
)
def test_favorites_change_once(
    proxy: LossyProxy,
    lossy: ReportRepository,
    reports: ReportRepository,
    report: DBReport,
    alice: str,
    operation: str,
    argument: Any,
    favorites: set[str],
) -> None:
    proxy.lose("UpdateItem", times=2)
    changed = getattr(lossy, operation)(report.id, alice, argument)
    assert proxy.fired == 2
    assert (changed.favorites, changed.version) == (favorites, 2)
    assert reports.get_report(report.id, alice) == changed


def test_a_favorite_removed_after_a_lost_add_stays_removed(
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, report: DBReport, alice: str
) -> None:
    """A naive retry would add it again."""
    proxy.lose("UpdateItem", between=lambda: reports.remove_favorite(report.id, alice, "new"))
    lossy.add_favorite(report.id, alice, "new")
    assert proxy.fired == 1
    assert reports.get_report(report.id, alice).favorites == {"old"}


def test_a_profile_is_created_once(engine: Engine, proxy: LossyProxy, users: UserRepository) -> None:
    user_id = str(uuid.uuid4())
    proxy.lose("PutItem", times=2)
    seen = UserRepository(engine.manager(proxy.endpoint)).ensure_user(DBUser(user_id=user_id, name="Alice"))
    assert proxy.fired == 2
    assert users.get_user(user_id) == seen
    assert seen.version == 1


@pytest.mark.parametrize("changes", [{"name": "B"}, {"preferences": {"b": 2}}], ids=["plain", "merge"])
def test_a_profile_changes_once(
    engine: Engine, proxy: LossyProxy, users: UserRepository, changes: dict[str, Any]
) -> None:
    user_id = str(uuid.uuid4())
    users.create_user(DBUser(user_id=user_id, name="A", preferences={"a": 1}))
    proxy.lose("UpdateItem", times=2)
    changed = UserRepository(engine.manager(proxy.endpoint)).update_user(user_id, changes)
    assert proxy.fired == 2
    assert changed.version == 2
    assert users.get_user(user_id) == changed


def test_a_merge_after_a_loss_does_not_undo_another(engine: Engine, proxy: LossyProxy, users: UserRepository) -> None:
    user_id = str(uuid.uuid4())
    users.create_user(DBUser(user_id=user_id))
    proxy.lose("UpdateItem", between=lambda: users.update_user(user_id, {"preferences": {"theirs": 1, "mine": None}}))
    UserRepository(engine.manager(proxy.endpoint)).update_user(user_id, {"preferences": {"mine": 1}})
    assert proxy.fired == 1
    assert users.get_user(user_id).preferences == {"theirs": 1}


def test_a_lost_read_is_read_again(proxy: LossyProxy, lossy: ReportRepository, report: DBReport, alice: str) -> None:
    proxy.lose("GetItem", times=2)
    assert lossy.get_report(report.id, alice) == report
    assert proxy.fired == 2
