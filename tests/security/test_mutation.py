"""No condition and no owner check is there for show: each is taken out, and a scenario must then notice.

A mutant is a change of one function's source, or a condition made true for every row. Its probe says whether a rule of
the write path or of ownership holds; it must hold as the code is, and must not under the mutant.
"""

import ast
import inspect
import textwrap
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.core.models import botocore_stubber

from shared.database import (
    DatabaseManager,
    DBReport,
    DBUser,
    ReportRepository,
    Terms,
    UserRepository,
    WriteId,
    conditions,
    reports,
    repository,
    users,
    writes,
)
from shared.errors import ApiError, Conflict, InvalidRequest, NotFound, OutcomeUnknown, PreconditionFailed
from shared.models.report import MAX_FAVORITES
from tests.support.cases import every_row
from tests.support.faults import faulty, requests_sent

FUTURE = "2099-01-01T00:00:00.000000Z"


@dataclass(frozen=True)
class World:
    """A store with nobody in it yet; every probe makes users and rows of its own."""

    manager: DatabaseManager

    @property
    def reports(self) -> ReportRepository:
        return ReportRepository(self.manager)

    @property
    def users(self) -> UserRepository:
        return UserRepository(self.manager)

    @property
    def others(self) -> ReportRepository:
        """The same table through a client of its own, as another process has."""
        return ReportRepository(DatabaseManager())

    def report(self, owner: str = "alice", **fields: Any) -> DBReport:
        return self.reports.create_report(DBReport(user_id=owner, **{"title": "T", **fields}))


Probe = Callable[[World], bool]


def raises(kind: type[ApiError], call: Callable[[], object]) -> bool:
    """Whether `call` is refused with exactly that error."""
    try:
        call()
    except (ApiError, ClientError) as error:
        return type(error) is kind
    return False


def unchanged_and_missing(world: World, call: Callable[[], object]) -> bool:
    before = every_row(world.manager)
    return raises(NotFound, call) and every_row(world.manager) == before


def lost_after(then: Callable[[], object]) -> Callable[[AWSPreparedRequest], AWSResponse]:
    """A try that is applied; something else happens; and its answer never arrives."""

    def fault(request: AWSPreparedRequest) -> AWSResponse:
        botocore_stubber("before-send", request)
        then()
        raise ReadTimeoutError(endpoint_url=str(request.url))

    return fault


# Ownership


def a_foreign_row_cannot_be_read(world: World) -> bool:
    report = world.report("bob")
    return raises(NotFound, lambda: world.reports.get_report(report.id, "alice"))


def a_foreign_row_cannot_be_updated(world: World) -> bool:
    report = world.report("bob")
    return unchanged_and_missing(world, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}))


def a_foreign_row_cannot_be_deleted(world: World) -> bool:
    report = world.report("bob")
    return unchanged_and_missing(world, lambda: world.reports.delete_report(report.id, "alice"))


def a_missing_row_is_not_made_by_an_update(world: World) -> bool:
    return unchanged_and_missing(world, lambda: world.reports.update_report(str(uuid.uuid4()), "alice", {"title": "X"}))


def a_create_spares_a_foreign_row(world: World) -> bool:
    taken = world.report("bob")
    before = every_row(world.manager)
    mine = DBReport(id=taken.id, user_id="alice", title="Mine")
    return raises(Conflict, lambda: world.reports.create_report(mine)) and every_row(world.manager) == before


def a_create_shows_no_foreign_row_of_the_same_write(world: World) -> bool:
    write = WriteId(str(uuid.uuid4()), "content")
    world.reports.create_report(DBReport(id=write.id, user_id="bob", title="Secret"), write=write)
    mine = DBReport(id=write.id, user_id="alice", title="Mine")
    return raises(Conflict, lambda: world.reports.create_report(mine, write=write))


def an_ensure_shows_no_foreign_row(world: World) -> bool:
    taken = world.report("bob")
    target = writes.Target(world.manager.settings.reports_table, {"id": taken.id}, "alice", "report")
    return raises(Conflict, lambda: writes.ensure(world.manager, target, {"id": taken.id, "updated_at": FUTURE}))


# Versions


def a_stale_version_cannot_be_updated(world: World) -> bool:
    report = world.report()
    world.reports.update_report(report.id, "alice", {"title": "2"})
    terms = Terms(versions=[1])
    refused = raises(PreconditionFailed, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}, terms))
    return refused and world.reports.get_report(report.id, "alice").title == "2"


def a_stale_version_cannot_be_deleted(world: World) -> bool:
    report = world.report()
    return raises(PreconditionFailed, lambda: world.reports.delete_report(report.id, "alice", versions=[2]))


def a_merge_keeps_what_another_wrote_meanwhile(world: World) -> bool:
    owner = str(uuid.uuid4())
    world.users.create_user(DBUser(user_id=owner))
    others = UserRepository(DatabaseManager())
    written: list[object] = []

    def meanwhile(request: AWSPreparedRequest) -> AWSResponse:
        answer = botocore_stubber("before-send", request)
        written.append(others.update_user(owner, {"preferences": {"other": 1}}))
        assert answer is not None
        return answer

    with faulty(world.manager, meanwhile, times=1):
        world.users.update_user(owner, {"preferences": {"mine": 1}})
    assert written
    return world.users.get_user(owner).preferences == {"mine": 1, "other": 1}


# Exactly once


def a_try_that_comes_late_is_refused(world: World) -> bool:
    """A copy of an update arrives after so many others that the register has forgotten it."""
    report = world.report()
    with requests_sent(world.manager) as sent:
        world.reports.update_report(report.id, "alice", {"title": "first"})
    for number in range(len(conditions.REGISTER) + 1):
        world.reports.update_report(report.id, "alice", {"title": str(number)})
    try:
        world.manager.client.update_item(**sent[0][1])
    except ClientError:
        return True
    return False


def a_repeated_write_is_applied_once(world: World) -> bool:
    report = world.report()
    terms = Terms(WriteId(str(uuid.uuid4()), "content"))
    answers = [world.reports.update_report(report.id, "alice", {"title": "X"}, terms).version for _ in range(2)]
    return answers == [2, 2] == [2, world.reports.get_report(report.id, "alice").version]


def a_repeated_write_is_recognised(world: World) -> bool:
    report = world.report()
    terms = Terms(WriteId(str(uuid.uuid4()), "content"))
    world.reports.update_report(report.id, "alice", {"title": "X"}, terms)
    return not raises_any(lambda: world.reports.update_report(report.id, "alice", {"title": "X"}, terms))


def one_write_has_one_content(world: World) -> bool:
    report = world.report()
    write = str(uuid.uuid4())
    world.reports.update_report(report.id, "alice", {"title": "X"}, Terms(WriteId(write, "one")))
    other = Terms(WriteId(write, "other"))
    return raises(InvalidRequest, lambda: world.reports.update_report(report.id, "alice", {"title": "Y"}, other))


def an_outcome_that_cannot_be_known_is_not_guessed(world: World) -> bool:
    """The first try is applied, others push it out of the register, its answer is lost, the retry is refused."""
    report, others = world.report(), world.others

    def push_out() -> None:
        for number in range(len(conditions.REGISTER)):
            others.update_report(report.id, "alice", {"author": str(number + 1)})

    with faulty(world.manager, lost_after(push_out), times=1):
        return raises(OutcomeUnknown, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}))


def a_create_over_an_own_row_is_refused(world: World) -> bool:
    report = world.report()
    again = DBReport(id=report.id, user_id="alice", title="Again")
    return raises(Conflict, lambda: world.reports.create_report(again))


def a_lost_delete_succeeds(world: World) -> bool:
    report = world.report()
    with faulty(world.manager, lost_after(lambda: None), times=1):
        return not raises_any(lambda: world.reports.delete_report(report.id, "alice"))


def a_lost_conditional_delete_is_unknown(world: World) -> bool:
    """Another may have deleted another version of the row."""
    report = world.report()
    with faulty(world.manager, lost_after(lambda: None), times=1):
        return raises(OutcomeUnknown, lambda: world.reports.delete_report(report.id, "alice", versions=[1]))


def a_foreign_delete_tells_nothing(world: World) -> bool:
    """Neither its version nor that it exists."""
    report = world.report()
    return raises(NotFound, lambda: world.reports.delete_report(report.id, "bob", versions=[2]))


def a_delete_of_nothing_is_refused(world: World) -> bool:
    """Every delete of a missing row would otherwise pass for one whose answer got lost."""
    return raises(NotFound, lambda: world.reports.delete_report(str(uuid.uuid4()), "alice"))


def a_row_from_the_future_changes(world: World) -> bool:
    report = world.report(created_at=FUTURE, updated_at=FUTURE)
    return not raises_any(lambda: world.reports.update_report(report.id, "alice", {"title": "X"}))


# Favourites


def favorites_are_capped(world: World) -> bool:
    report = world.report(favorites={str(number) for number in range(MAX_FAVORITES)})
    return raises(Conflict, lambda: world.reports.add_favorite(report.id, "alice", "one more"))


def a_repeated_favorite_writes_nothing(world: World) -> bool:
    report = world.report(favorites={"a"})
    return not raises_any(lambda: world.reports.add_favorite(report.id, "alice", "a")) and is_at(world, report, 1)


def a_favorite_that_is_none_is_removed_without_a_write(world: World) -> bool:
    report = world.report(favorites={"a"})
    return not raises_any(lambda: world.reports.remove_favorite(report.id, "alice", "b")) and is_at(world, report, 1)


def raises_any(call: Callable[[], object]) -> bool:
    try:
        call()
    except (ApiError, ClientError):
        return True
    return False


def is_at(world: World, report: DBReport, version: int) -> bool:
    return world.reports.get_report(report.id, "alice").version == version


@dataclass(frozen=True)
class Source:
    """A function with one piece of its source replaced."""

    owner: Any
    function: str
    old: str
    new: str

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = vars(self.owner)[self.function]
        plain = original if isinstance(original, FunctionType) else original._method
        source = textwrap.dedent(inspect.getsource(plain))
        assert source.count(self.old) == 1, f"{self.function} has changed: state the mutant anew"
        made: dict[str, Any] = {}
        exec(source.replace(self.old, self.new), plain.__globals__, made)  # noqa: S102 - our own source, one piece changed
        monkeypatch.setattr(self.owner, self.function, made[self.function])


@dataclass(frozen=True)
class Always:
    """A named condition that holds for every row, and still uses all its placeholders."""

    name: str

    def apply(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = getattr(conditions, self.name)

        def always(*arguments: Any) -> conditions.Condition:
            condition: conditions.Condition = original(*arguments)
            return condition | ~condition

        monkeypatch.setattr(conditions, self.name, always)


Mutant = Source | Always

in_terms = partial(Source, Terms, "condition")
in_delete = partial(Source, writes, "delete")
in_is_done = partial(Source, writes, "_is_done")
in_create = partial(Source, writes, "create")
EITHER = 'conditions.absent("nothing") | conditions.owned_by(target.user_id)'

MUTANTS: list[tuple[Mutant, Probe]] = [
    # The fragments.
    (Always("owned_by"), a_foreign_row_cannot_be_updated),
    (Always("owned_by"), a_foreign_row_cannot_be_deleted),
    (Always("owned_by"), a_missing_row_is_not_made_by_an_update),
    (Always("older_than"), a_try_that_comes_late_is_refused),
    (Always("not_written_by"), a_repeated_write_is_applied_once),
    (Always("at_version"), a_stale_version_cannot_be_updated),
    (Always("at_version"), a_stale_version_cannot_be_deleted),
    (Always("at_version"), a_merge_keeps_what_another_wrote_meanwhile),
    (Always("absent"), a_create_spares_a_foreign_row),
    (Always("absent"), a_create_over_an_own_row_is_refused),
    (Always("room_for"), favorites_are_capped),
    (Always("favorite"), a_favorite_that_is_none_is_removed_without_a_write),
    # Where they are composed.
    (
        in_terms("conditions.owned_by(user_id) & conditions.older_than(clock)", "conditions.older_than(clock)"),
        a_foreign_row_cannot_be_updated,
    ),
    (
        in_terms("conditions.owned_by(user_id) & conditions.older_than(clock)", "conditions.owned_by(user_id)"),
        a_try_that_comes_late_is_refused,
    ),
    (in_terms("condition &= conditions.not_written_by(self.write.id)", ""), a_repeated_write_is_applied_once),
    (in_terms("condition &= conditions.at_version(self.versions)", "pass"), a_stale_version_cannot_be_updated),
    (in_terms(" if self.guard is None else condition & self.guard.condition", ""), favorites_are_capped),
    (in_delete("= conditions.owned_by(target.user_id)", f"= {EITHER}"), a_foreign_row_cannot_be_deleted),
    (in_delete("condition &= conditions.at_version(versions)", "pass"), a_stale_version_cannot_be_deleted),
    (
        Source(writes, "_put", "conditions.absent(next(iter(target.key)))", 'conditions.absent("nothing")'),
        a_create_spares_a_foreign_row,
    ),
    (
        Source(reports.ReportRepository, "add_favorite", "else room & ~", "else ~"),
        favorites_are_capped,
    ),
    (
        Source(reports.ReportRepository, "add_favorite", " & ~conditions.favorite(product_id)", ""),
        a_repeated_favorite_writes_nothing,
    ),
    (
        Source(users.UserRepository, "_merge", "replace(terms, versions=[user.version])", "terms"),
        a_merge_keeps_what_another_wrote_meanwhile,
    ),
    # Where a row is judged here.
    (
        Source(repository.Repository, "_read_own", ' or item.get("user_id") != {"S": target.user_id}', ""),
        a_foreign_row_cannot_be_read,
    ),
    (
        Source(writes, "_refusing_row", " and _is_owned(refusal.row, target)", ""),
        a_foreign_row_cannot_be_updated,
    ),
    (in_delete(" and _is_owned(refusal.row, target)", ""), a_foreign_delete_tells_nothing),
    (in_create(" and _is_owned(existing, target)", ""), a_create_shows_no_foreign_row_of_the_same_write),
    (in_create(" and _is_entry(existing.get(_CREATED_BY), write)", ""), a_create_over_an_own_row_is_refused),
    (Source(writes, "ensure", " or not _is_owned(refusal.row, target)", ""), an_ensure_shows_no_foreign_row),
    (Source(writes, "_is_owned", 'row.get("user_id") == target.user_id', "True"), a_foreign_row_cannot_be_updated),
    # Where a refusal is read.
    (in_is_done("if has_made(row, terms.write):", "if False:"), a_repeated_write_is_recognised),
    (
        in_is_done("refusal.may_have_been_applied and _pushed_out(row, clock)", "False"),
        an_outcome_that_cannot_be_known_is_not_guessed,
    ),
    (
        in_is_done(' and row.get("version", FIRST_VERSION) not in terms.versions', " and False"),
        a_stale_version_cannot_be_updated,
    ),
    (in_is_done(" and terms.guard.is_settled(row)", " and False"), a_repeated_favorite_writes_nothing),
    (Source(writes, "_is_entry", "fingerprint != write.fingerprint", "False"), one_write_has_one_content),
    (
        Source(writes, "_later_than", "current if current > last else", "current if True else"),
        a_row_from_the_future_changes,
    ),
    (in_delete("if not refusal.may_have_been_applied", "if True"), a_lost_delete_succeeds),
    (in_delete("if not refusal.may_have_been_applied", "if False"), a_delete_of_nothing_is_refused),
    (
        in_delete(
            "if versions is not None:\n            raise OutcomeUnknown", "if False:\n            raise OutcomeUnknown"
        ),
        a_lost_conditional_delete_is_unknown,
    ),
    (
        Source(reports, "_is_favorite_or_fits", " and len(favorites) >= MAX_FAVORITES", " and False"),
        favorites_are_capped,
    ),
]


@pytest.fixture
def world(manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return World(manager)


def name_of(value: object) -> str:
    if isinstance(value, Always):
        return f"always {value.name}"
    if isinstance(value, Source):
        return f"{value.function}: {value.old.strip()[:40]}"
    return str(getattr(value, "__name__", value))


@pytest.mark.parametrize(("mutant", "probe"), MUTANTS, ids=name_of)
def test_a_mutant_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch, mutant: Mutant, probe: Probe) -> None:
    assert probe(world)
    mutant.apply(monkeypatch)
    assert not probe(world)


def test_every_condition_has_a_mutant() -> None:
    named = {
        name
        for name, value in vars(conditions).items()
        if inspect.isfunction(value) and value.__module__ == conditions.__name__
    }
    assert {mutant.name for mutant, _ in MUTANTS if isinstance(mutant, Always)} == named


def test_every_owner_check_has_a_mutant() -> None:
    """Each function that says `_is_owned`, `owned_by` or compares a row's `user_id`, but for the key of a query."""
    marks = ("_is_owned(", "owned_by(", 'get("user_id")')
    places = {
        node.name
        for module in (writes, repository, reports, users)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.FunctionDef) and any(mark in ast.unparse(node).replace("'", '"') for mark in marks)
    }
    mutated = {mutant.function for mutant, _ in MUTANTS if isinstance(mutant, Source)}
    assert places - mutated == {"_query"}
