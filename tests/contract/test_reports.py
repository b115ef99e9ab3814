"""What every engine must do for the reports repository."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from shared.database import DatabaseManager, DBReport, ReportRepository, Terms, WriteId
from shared.errors import Conflict, InvalidRequest, MalformedRequest, NotFound, PayloadTooLarge, PreconditionFailed
from shared.models.report import MAX_FAVORITES
from tests.contract.differences import MOTO_IS_NOT_ATOMIC, unlike


def make(reports: ReportRepository, owner: str, **fields: Any) -> DBReport:
    return reports.create_report(DBReport(user_id=owner, **{"title": "Dogs", **fields}))


def walk(reports: ReportRepository, owner: str, limit: int, bound: int = 100) -> list[DBReport]:
    """Every report of the user, page by page; fails rather than walk for ever."""
    found: list[DBReport] = []
    cursor = None
    for _ in range(bound):
        page = reports.list_reports(owner, limit, cursor)
        assert len(page.reports) <= limit
        found += page.reports
        cursor = page.next_cursor
        if cursor is None:
            return found
    raise AssertionError(f"the walk did not end within {bound} pages")


def test_a_report_comes_back_as_it_was_stored(reports: ReportRepository, alice: str) -> None:
    stored = make(reports, alice, author="Ada", reference={"name": "Rex", "price": 249.99}, favorites={"b", "a"})
    found = reports.get_report(stored.id, alice)
    assert found == stored
    assert found.reference == {"name": "Rex", "price": 249.99}
    assert found.favorites == {"a", "b"}
    assert found.version == 1


@pytest.mark.parametrize("name", ["get_report", "delete_report"])
def test_a_foreign_report_is_as_missing(reports: ReportRepository, alice: str, bob: str, name: str) -> None:
    report = make(reports, alice)
    with pytest.raises(NotFound) as foreign:
        getattr(reports, name)(report.id, bob)
    with pytest.raises(NotFound) as missing:
        getattr(reports, name)(str(uuid.uuid4()), bob)
    assert foreign.value.detail == missing.value.detail
    assert reports.get_report(report.id, alice) == report


def test_no_write_reaches_a_foreign_report(reports: ReportRepository, alice: str, bob: str) -> None:
    report = make(reports, alice, favorites={"a"})
    writes: list[Any] = [
        lambda: reports.update_report(report.id, bob, {"title": "Mine now"}),
        lambda: reports.add_favorite(report.id, bob, "b"),
        lambda: reports.remove_favorite(report.id, bob, "a"),
        lambda: reports.replace_favorites(report.id, bob, []),
    ]
    for write in writes:
        with pytest.raises(NotFound):
            write()
    assert reports.get_report(report.id, alice) == report


def test_an_update_of_nothing_makes_no_ghost_row(reports: ReportRepository, alice: str) -> None:
    missing = str(uuid.uuid4())
    with pytest.raises(NotFound):
        reports.update_report(missing, alice, {"title": "Ghost"})
    with pytest.raises(NotFound):
        reports.get_report(missing, alice)


def test_create_never_overwrites(reports: ReportRepository, alice: str, bob: str) -> None:
    report = make(reports, alice)
    for owner in (alice, bob):
        with pytest.raises(Conflict):
            reports.create_report(DBReport(id=report.id, user_id=owner, title="Other"))
    assert reports.get_report(report.id, alice) == report


def test_an_update_changes_what_it_names_and_counts_up(reports: ReportRepository, alice: str) -> None:
    report = make(reports, alice, reference={"a": 1}, favorites={"f"})
    changed = reports.update_report(report.id, alice, {"title": "Cats", "reference": None})
    assert (changed.title, changed.reference, changed.version) == ("Cats", None, 2)
    assert (changed.author, changed.date, changed.favorites) == (report.author, report.date, report.favorites)
    assert changed.created_at == report.created_at
    assert changed.updated_at > report.updated_at
    assert reports.get_report(report.id, alice) == changed


def test_a_version_that_no_longer_holds_is_refused(reports: ReportRepository, alice: str) -> None:
    report = make(reports, alice)
    reports.update_report(report.id, alice, {"title": "Two"}, Terms(versions=[1]))
    with pytest.raises(PreconditionFailed):
        reports.update_report(report.id, alice, {"title": "Three"}, Terms(versions=[1]))
    with pytest.raises(PreconditionFailed):
        reports.update_report(report.id, alice, {"title": "Three"}, Terms(versions=[]))
    with pytest.raises(PreconditionFailed):
        reports.delete_report(report.id, alice, versions=[1])
    assert reports.update_report(report.id, alice, {"title": "Three"}, Terms(versions=[1, 2])).version == 3
    reports.delete_report(report.id, alice, versions=[3])
    with pytest.raises(NotFound):
        reports.get_report(report.id, alice)


def test_favorites_are_a_set(reports: ReportRepository, alice: str) -> None:
    report = make(reports, alice)
    assert reports.add_favorite(report.id, alice, "b").favorites == {"b"}
    assert reports.add_favorite(report.id, alice, "a").favorites == {"a", "b"}
    assert reports.remove_favorite(report.id, alice, "b").favorites == {"a"}
    assert reports.remove_favorite(report.id, alice, "a").favorites == set()
    assert reports.replace_favorites(report.id, alice, ["x", "y", "x"]).favorites == {"x", "y"}
    assert reports.replace_favorites(report.id, alice, []).favorites == set()
    assert reports.get_report(report.id, alice).favorites == set()


def test_repeating_a_favorite_writes_nothing(reports: ReportRepository, alice: str) -> None:
    report = make(reports, alice)
    added = reports.add_favorite(report.id, alice, "a")
    assert reports.add_favorite(report.id, alice, "a").version == added.version
    removed = reports.remove_favorite(report.id, alice, "a")
    assert reports.remove_favorite(report.id, alice, "a").version == removed.version


def test_favorites_are_capped(reports: ReportRepository, alice: str) -> None:
    full = {f"p{number}" for number in range(MAX_FAVORITES)}
    report = make(reports, alice, favorites=full)
    with pytest.raises(Conflict):
        reports.add_favorite(report.id, alice, "one more")
    assert reports.add_favorite(report.id, alice, "p1").favorites == full
    reports.remove_favorite(report.id, alice, "p1")
    assert "one more" in reports.add_favorite(report.id, alice, "one more").favorites


def test_pages_are_the_users_rows_newest_first(reports: ReportRepository, alice: str, bob: str) -> None:
    mine = [make(reports, alice, title=f"Report {number}") for number in range(7)]
    make(reports, bob)
    newest_first = [report.id for report in reversed(mine)]
    for limit in (1, 2, 3, 7, 100):
        assert [report.id for report in walk(reports, alice, limit)] == newest_first
    assert reports.count_reports(alice) == 7
    assert reports.count_reports(bob) == 1


def test_a_full_last_page_has_no_successor(reports: ReportRepository, alice: str) -> None:
    for _ in range(4):
        make(reports, alice)
    assert reports.list_reports(alice, 4).next_cursor is None
    assert reports.list_reports(alice, 2).next_cursor is not None


def test_reports_of_one_instant_are_all_listed(reports: ReportRepository, alice: str) -> None:
    instant = "2026-01-01T00:00:00.000000Z"
    ids = {make(reports, alice, created_at=instant).id for _ in range(5)}
    listed = [report.id for report in walk(reports, alice, 2)]
    assert len(listed) == 5
    assert set(listed) == ids


def test_no_report_is_an_empty_last_page(reports: ReportRepository, alice: str) -> None:
    page = reports.list_reports(alice)
    assert (page.reports, page.next_cursor) == ([], None)


def test_large_reports_are_walked_whole(reports: ReportRepository, alice: str) -> None:
    """Six of 250 KB: more than one page of DynamoDB's (1 MB), and more than one of ours where the engine cuts none."""
    ids = [make(reports, alice, reference={"text": "x" * 250_000}).id for _ in range(6)]
    assert [report.id for report in walk(reports, alice, 100)] == ids[::-1]
    assert reports.count_reports(alice) == 6


def test_a_page_stays_below_what_a_function_may_answer(reports: ReportRepository, alice: str) -> None:
    for _ in range(20):
        make(reports, alice, reference={"text": "x" * 250_000})
    page = reports.list_reports(alice, 100)
    assert page.next_cursor is not None
    assert sum(len(str(report.reference)) for report in page.reports) < 5_000_000
    assert len(walk(reports, alice, 100)) == 20


def test_a_cursor_moves_its_holder_within_their_own_rows(reports: ReportRepository, alice: str, bob: str) -> None:
    for _ in range(3):
        make(reports, alice)
    own = {make(reports, bob).id for _ in range(3)}
    cursor = reports.list_reports(alice, 1).next_cursor
    assert cursor is not None
    assert {report.id for report in reports.list_reports(bob, 10, cursor).reports} <= own
    with pytest.raises(MalformedRequest):
        reports.list_reports(bob, 10, cursor + "A")


def test_a_cursor_outlives_the_report_it_points_at(reports: ReportRepository, alice: str) -> None:
    ids = [make(reports, alice).id for _ in range(3)]
    page = reports.list_reports(alice, 1)
    reports.delete_report(ids[2], alice)
    assert [report.id for report in reports.list_reports(alice, 5, page.next_cursor).reports] == [ids[1], ids[0]]


def test_what_is_too_large_for_an_item_is_refused(reports: ReportRepository, alice: str) -> None:
    report = make(reports, alice, reference={"text": "x" * 250_000})
    with pytest.raises(PayloadTooLarge):
        reports.replace_favorites(report.id, alice, [f"{number:03}" + "\U0001f436" * 250 for number in range(200)])
    assert reports.get_report(report.id, alice) == report


def test_one_key_makes_one_report(reports: ReportRepository, alice: str) -> None:
    write = WriteId(str(uuid.uuid4()), "content-1")
    report = DBReport(id=write.id, user_id=alice, title="Once")
    first = reports.create_report(report, write=write)
    again = reports.create_report(report.model_copy(update={"title": "Once"}), write=write)
    assert again == first
    assert reports.count_reports(alice) == 1
    with pytest.raises(InvalidRequest):
        reports.create_report(report, write=WriteId(write.id, "content-2"))


def test_one_key_is_recognised_after_other_changes(reports: ReportRepository, alice: str) -> None:
    """A create's own mark stays, however often the row is changed; an update's is kept for three further writes."""
    create = WriteId(str(uuid.uuid4()), "content-1")
    report = reports.create_report(DBReport(id=create.id, user_id=alice, title="0"), write=create)
    keyed = Terms(WriteId(str(uuid.uuid4()), "patch"))
    reports.update_report(report.id, alice, {"title": "keyed"}, keyed)
    for number in range(3):
        reports.update_report(report.id, alice, {"title": str(number)})
        assert reports.update_report(report.id, alice, {"title": "keyed"}, keyed).title == str(number)
    reports.update_report(report.id, alice, {"title": "3"})
    assert reports.create_report(report, write=create).title == "3"
    assert reports.get_report(report.id, alice).version == 6


def test_one_key_with_other_content_is_refused(reports: ReportRepository, alice: str) -> None:
    report = make(reports, alice)
    reports.update_report(report.id, alice, {"title": "A"}, Terms(WriteId("same", "content-1")))
    with pytest.raises(InvalidRequest):
        reports.update_report(report.id, alice, {"title": "B"}, Terms(WriteId("same", "content-2")))
    assert reports.get_report(report.id, alice).title == "A"


def test_a_row_from_the_future_is_changed_all_the_same(reports: ReportRepository, alice: str) -> None:
    """A clock that is behind the row's moves just past it, so that a row's time strictly increases."""
    future = "2099-01-01T00:00:00.000000Z"
    report = make(reports, alice, created_at=future, updated_at=future)
    changed = reports.update_report(report.id, alice, {"title": "Later"})
    assert changed.updated_at == "2099-01-01T00:00:00.000001Z"


def test_a_row_from_before_the_bookkeeping_is_changed(
    manager: DatabaseManager, reports: ReportRepository, alice: str
) -> None:
    manager.get_reports_table().put_item(
        Item={"id": f"old-{alice}", "user_id": alice, "title": "Old", "created_at": "2020-01-01T00:00:00.000000Z"}
    )
    changed = reports.update_report(f"old-{alice}", alice, {"title": "New"})
    assert (changed.title, changed.version, changed.date) == ("New", 2, "2020-01-01")
    assert reports.add_favorite(f"old-{alice}", alice, "p").favorites == {"p"}


@unlike(MOTO_IS_NOT_ATOMIC)
def test_fifty_concurrent_favorites_are_all_kept(reports: ReportRepository, alice: str) -> None:
    """Twenty-five to add and twenty-five to remove, at once."""
    leaving = {f"leaving-{number}" for number in range(25)}
    report = make(reports, alice, favorites=leaving)
    toggles = [(reports.add_favorite, f"coming-{number}") for number in range(25)]
    toggles += [(reports.remove_favorite, product) for product in sorted(leaving)]
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda toggle: toggle[0](report.id, alice, toggle[1]), toggles))
    final = reports.get_report(report.id, alice)
    assert final.favorites == {f"coming-{number}" for number in range(25)}
    assert final.version == 51


@unlike(MOTO_IS_NOT_ATOMIC)
def test_of_concurrent_updates_one_wins_each_version(reports: ReportRepository, alice: str) -> None:
    report = make(reports, alice)
    for version in (1, 2, 3):
        with ThreadPoolExecutor(20) as pool:
            won = list(pool.map(partial(_wins, reports, report, alice, version), range(20)))
        assert won.count(True) == 1
        assert reports.get_report(report.id, alice).version == version + 1


def _wins(reports: ReportRepository, report: DBReport, owner: str, version: int, number: int) -> bool:
    try:
        reports.update_report(report.id, owner, {"title": f"{version}-{number}"}, Terms(versions=[version]))
    except PreconditionFailed:
        return False
    return True
