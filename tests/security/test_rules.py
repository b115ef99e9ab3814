"""The rules of the write path and of ownership, one scenario each: what a condition or an owner check is there for.

`./scripts/prove.sh mutation` takes out every one of them in turn, and sees that one of these tests, or another, fails.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.core.models import botocore_stubber

from handlers.reports import export_report
from shared.account.places import account_digest
from shared.database import (
    DatabaseManager,
    DBProductEmbedding,
    DBReport,
    DBUser,
    EmbeddingRepository,
    ModelVersionRepository,
    ReportRepository,
    Terms,
    UserRepository,
    WriteId,
    conditions,
    embedding_deletion,
    model_versions,
    users,
    writes,
)
from shared.database.account_rows import AccountRows, ProfileSeen
from shared.database.embedding_erasure import EmbeddingEraser
from shared.errors import (
    ApiError,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    PreconditionFailed,
    Unavailable,
)
from shared.models.filters import parse_filter
from shared.models.report import MAX_FAVORITES
from shared.models.user import UpdateProfile
from shared.models.vector import Vector
from shared.similarity import cache, jobs, objects
from shared.similarity.query import Query
from tests.support import cases
from tests.support.api import Api
from tests.support.cases import CASES, EMBEDDINGS, MODEL, PRODUCT, Case, case_id, embed, every_object, every_row
from tests.support.faults import faulty, requests_sent
from tests.support.tokens import TokenFactory

FUTURE = "2099-01-01T00:00:00.000000Z"


@dataclass(frozen=True)
class World:
    """A store with nobody in it yet; every probe makes users and rows of its own."""

    manager: DatabaseManager
    tokens: TokenFactory

    def api(self, user: str, *groups: str) -> Api:
        return Api.as_user(user, self.tokens, groups=list(groups))

    @property
    def embeddings(self) -> EmbeddingRepository:
        return EmbeddingRepository(self.manager)

    @property
    def models(self) -> ModelVersionRepository:
        return ModelVersionRepository(self.manager)

    def someone(self) -> str:
        """A user who has nothing yet."""
        return str(uuid.uuid4())

    def product(self, owner: str, product_id: str = PRODUCT) -> DBProductEmbedding:
        return self.embeddings.get_embedding(product_id, owner, MODEL)

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


@pytest.fixture
def world(manager: DatabaseManager, tokens: TokenFactory, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return World(manager, tokens)


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


# Avatars


LONG_AGO, LATER, LATEST = (f"200{year}-01-01T00:00:00.000000Z" for year in (1, 2, 3))


def test_an_older_upload_does_not_replace_a_newer_one(world: World) -> None:
    user = world.users.create_user(DBUser(user_id=world.someone(), created_at=LONG_AGO))
    world.users.place_avatar(user.user_id, "/latest", LATEST)
    assert world.users.place_avatar(user.user_id, "/later", LATER).avatar_url == "/latest"


def test_an_upload_does_not_outlive_the_row_it_was_asked_for(world: World) -> None:
    user = world.users.create_user(DBUser(user_id=world.someone(), created_at=LATEST))
    assert world.users.place_avatar(user.user_id, "/later", LATER).avatar_url is None


def test_an_address_that_a_client_gives_replaces_what_was_uploaded_before(world: World) -> None:
    user = world.users.create_user(DBUser(user_id=world.someone(), created_at=LONG_AGO))
    world.users.update_user(user.user_id, {"avatar_url": "https://example.com/"})
    assert world.users.place_avatar(user.user_id, "/later", LATER).avatar_url == "https://example.com/"


def test_an_image_that_is_gone_is_not_shown(world: World) -> None:
    user = world.users.create_user(DBUser(user_id=world.someone(), avatar_url="/avatars/now"))
    former = UpdateProfile(avatar_url=None).model_copy(update={"avatar_url": "/avatars/former"})
    assert raises(InvalidRequest, lambda: world.users.update_user(user.user_id, former))


def test_a_later_refusal_stays(world: World) -> None:
    user = world.users.create_user(DBUser(user_id=world.someone(), created_at=LONG_AGO))
    world.users.refuse_avatar(user.user_id, "latest", LATEST)
    assert world.users.refuse_avatar(user.user_id, "later", LATER).avatar_error == "latest"


# Ownership


def test_a_foreign_row_cannot_be_read(world: World) -> None:
    report = world.report("bob")
    assert raises(NotFound, lambda: world.reports.get_report(report.id, "alice"))


def test_a_foreign_row_cannot_be_updated(world: World) -> None:
    report = world.report("bob")
    assert unchanged_and_missing(world, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}))


def test_a_request_for_a_foreign_row_alone_is_counted(world: World) -> None:
    """One for the caller's own deleted product is answered alike, and is none."""
    report, owner = world.report("bob"), world.someone()
    embed(owner)
    world.embeddings.delete_embedding(PRODUCT, owner, MODEL)
    noted: list[str] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(writes, "note_foreign_row", lambda: noted.append("foreign"))
        with pytest.raises(NotFound):
            world.embeddings.update_product(PRODUCT, owner, MODEL, {})
        with pytest.raises(NotFound):
            world.reports.delete_report(report.id, "alice")
    assert len(noted) == 1


def test_a_foreign_row_cannot_be_deleted(world: World) -> None:
    report = world.report("bob")
    assert unchanged_and_missing(world, lambda: world.reports.delete_report(report.id, "alice"))


def test_a_missing_row_is_not_made_by_an_update(world: World) -> None:
    assert unchanged_and_missing(world, lambda: world.reports.update_report(str(uuid.uuid4()), "alice", {"title": "X"}))


def test_a_create_spares_a_foreign_row(world: World) -> None:
    taken = world.report("bob")
    before = every_row(world.manager)
    mine = DBReport(id=taken.id, user_id="alice", title="Mine")
    assert raises(Conflict, lambda: world.reports.create_report(mine))
    assert every_row(world.manager) == before


def test_a_create_shows_no_foreign_row_of_the_same_write(world: World) -> None:
    write = WriteId(str(uuid.uuid4()), "content")
    world.reports.create_report(DBReport(id=write.id, user_id="bob", title="Secret"), write=write)
    mine = DBReport(id=write.id, user_id="alice", title="Mine")
    assert raises(Conflict, lambda: world.reports.create_report(mine, write=write))


def test_an_ensure_shows_no_foreign_row(world: World) -> None:
    taken = world.report("bob")
    target = writes.Target(world.manager.settings.reports_table, {"id": taken.id}, "alice", "report")
    assert raises(Conflict, lambda: writes.ensure(world.manager, target, {"id": taken.id, "updated_at": FUTURE}))


# Versions


def test_a_stale_version_cannot_be_updated(world: World) -> None:
    report = world.report()
    world.reports.update_report(report.id, "alice", {"title": "2"})
    terms = Terms(versions=[1])
    refused = raises(PreconditionFailed, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}, terms))
    assert refused
    assert world.reports.get_report(report.id, "alice").title == "2"


def test_a_stale_version_cannot_be_deleted(world: World) -> None:
    report = world.report()
    assert raises(PreconditionFailed, lambda: world.reports.delete_report(report.id, "alice", versions=[2]))


def test_a_merge_keeps_what_another_wrote_meanwhile(world: World) -> None:
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
    assert world.users.get_user(owner).preferences == {"mine": 1, "other": 1}


# Exactly once


def test_a_try_that_comes_late_is_refused(world: World) -> None:
    """A copy of an update arrives after so many others that the register has forgotten it."""
    report = world.report()
    with requests_sent(world.manager) as sent:
        world.reports.update_report(report.id, "alice", {"title": "first"})
    for number in range(len(conditions.REGISTER) + 1):
        world.reports.update_report(report.id, "alice", {"title": str(number)})
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        world.manager.client.update_item(**sent[0][1])


def test_a_repeated_write_is_applied_once(world: World) -> None:
    report = world.report()
    terms = Terms(WriteId(str(uuid.uuid4()), "content"))
    answers = [world.reports.update_report(report.id, "alice", {"title": "X"}, terms).version for _ in range(2)]
    assert answers == [2, 2] == [2, world.reports.get_report(report.id, "alice").version]


def test_a_repeated_write_is_recognised(world: World) -> None:
    report = world.report()
    terms = Terms(WriteId(str(uuid.uuid4()), "content"))
    world.reports.update_report(report.id, "alice", {"title": "X"}, terms)
    assert not raises_any(lambda: world.reports.update_report(report.id, "alice", {"title": "X"}, terms))


def test_one_write_has_one_content(world: World) -> None:
    report = world.report()
    write = str(uuid.uuid4())
    world.reports.update_report(report.id, "alice", {"title": "X"}, Terms(WriteId(write, "one")))
    other = Terms(WriteId(write, "other"))
    assert raises(InvalidRequest, lambda: world.reports.update_report(report.id, "alice", {"title": "Y"}, other))


def test_an_outcome_that_cannot_be_known_is_not_guessed(world: World) -> None:
    """The first try is applied, others push it out of the register, its answer is lost, the retry is refused."""
    report, others = world.report(), world.others

    def push_out() -> None:
        for number in range(len(conditions.REGISTER)):
            others.update_report(report.id, "alice", {"author": str(number + 1)})

    with faulty(world.manager, lost_after(push_out), times=1):
        assert raises(OutcomeUnknown, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}))


def test_a_create_over_an_own_row_is_refused(world: World) -> None:
    report = world.report()
    again = DBReport(id=report.id, user_id="alice", title="Again")
    assert raises(Conflict, lambda: world.reports.create_report(again))


def test_a_lost_delete_succeeds(world: World) -> None:
    report = world.report()
    with faulty(world.manager, lost_after(lambda: None), times=1):
        assert not raises_any(lambda: world.reports.delete_report(report.id, "alice"))


def test_a_lost_conditional_delete_is_unknown(world: World) -> None:
    """Another may have deleted another version of the row."""
    report = world.report()
    with faulty(world.manager, lost_after(lambda: None), times=1):
        assert raises(OutcomeUnknown, lambda: world.reports.delete_report(report.id, "alice", versions=[1]))


def test_a_foreign_delete_tells_nothing(world: World) -> None:
    """Neither its version nor that it exists."""
    report = world.report()
    assert raises(NotFound, lambda: world.reports.delete_report(report.id, "bob", versions=[2]))


def test_a_delete_of_nothing_is_refused(world: World) -> None:
    """Every delete of a missing row would otherwise pass for one whose answer got lost."""
    assert raises(NotFound, lambda: world.reports.delete_report(str(uuid.uuid4()), "alice"))


def test_a_row_from_the_future_changes(world: World) -> None:
    report = world.report(created_at=FUTURE, updated_at=FUTURE)
    assert not raises_any(lambda: world.reports.update_report(report.id, "alice", {"title": "X"}))


# Favourites


def test_favorites_are_capped(world: World) -> None:
    report = world.report(favorites={str(number) for number in range(MAX_FAVORITES)})
    assert raises(Conflict, lambda: world.reports.add_favorite(report.id, "alice", "one more"))


def test_a_repeated_favorite_writes_nothing(world: World) -> None:
    report = world.report(favorites={"a"})
    assert not raises_any(lambda: world.reports.add_favorite(report.id, "alice", "a"))
    assert is_at(world, report, 1)


def test_a_favorite_that_is_none_is_removed_without_a_write(world: World) -> None:
    report = world.report(favorites={"a"})
    assert not raises_any(lambda: world.reports.remove_favorite(report.id, "alice", "b"))
    assert is_at(world, report, 1)


# Embeddings


def planted(world: World) -> str:
    """A user under whose key there is someone else's row."""
    owner = world.someone()
    world.users.create_user(DBUser(user_id=owner))
    row = embed(owner)
    key = {"product_id": PRODUCT, "owner_model": f"{owner}#{MODEL}"}
    world.manager.get_embeddings_table().update_item(
        Key=key, UpdateExpression="SET user_id = :bob", ExpressionAttributeValues={":bob": "bob"}
    )
    assert row.version == 1
    return owner


def stored_by(owner: str) -> DBProductEmbedding:
    vector = Vector.of([1, 2])
    return DBProductEmbedding(
        user_id=owner, product_id=PRODUCT, model_version=MODEL, embedding_vector=vector, product={"new": 1}
    )


def test_a_foreign_embedding_is_neither_replaced_nor_shown(world: World) -> None:
    owner = planted(world)
    before = every_row(world.manager)
    refused = raises(Conflict, lambda: world.embeddings.store_embedding(stored_by(owner)))
    assert refused
    assert every_row(world.manager) == before


def test_a_foreign_embedding_is_not_replaced_at_a_version(world: World) -> None:
    owner = planted(world)
    before = every_row(world.manager)
    at_first = Terms(versions=[1])
    refused = raises(PreconditionFailed, lambda: world.embeddings.store_embedding(stored_by(owner), at_first))
    assert refused
    assert every_row(world.manager) == before


def test_a_foreign_embedding_cannot_be_read(world: World) -> None:
    owner = planted(world)
    assert raises(NotFound, lambda: world.product(owner))


def test_a_foreign_embedding_cannot_be_changed(world: World) -> None:
    owner = planted(world)
    assert unchanged_and_missing(world, lambda: world.embeddings.update_product(PRODUCT, owner, MODEL, {"x": 1}))


def test_a_stale_version_cannot_be_replaced(world: World) -> None:
    owner = world.someone()
    embed(owner)
    embed(owner, product={"name": "newer"})
    stale = Terms(versions=[1])
    refused = raises(PreconditionFailed, lambda: world.embeddings.store_embedding(stored_by(owner), stale))
    assert refused
    assert world.product(owner).product == {"name": "newer"}


def test_a_store_at_a_version_makes_no_row(world: World) -> None:
    owner = world.someone()
    embed(owner, "another")
    before = every_row(world.manager)
    at_first = Terms(versions=[1])
    refused = raises(PreconditionFailed, lambda: world.embeddings.store_embedding(stored_by(owner), at_first))
    assert refused
    assert every_row(world.manager) == before


def deleted(world: World) -> str:
    """A user whose product has been deleted: the tombstone is at version 2."""
    owner = world.someone()
    embed(owner)
    world.embeddings.delete_embedding(PRODUCT, owner, MODEL)
    return owner


def test_a_deleted_product_cannot_be_read(world: World) -> None:
    owner = deleted(world)
    assert raises(NotFound, lambda: world.product(owner))


def test_a_deleted_product_is_no_metadata(world: World) -> None:
    assert world.embeddings.get_products([PRODUCT], deleted(world), MODEL) == {}


def test_a_deleted_product_is_not_found(world: World) -> None:
    assert world.embeddings.find_embeddings([PRODUCT], deleted(world), MODEL) == {}


def test_a_deleted_product_is_not_changed(world: World) -> None:
    owner = deleted(world)
    assert unchanged_and_missing(world, lambda: world.embeddings.update_product(PRODUCT, owner, MODEL, {"x": 1}))


def test_a_deleted_product_is_not_deleted_again(world: World) -> None:
    owner = deleted(world)
    assert unchanged_and_missing(world, lambda: world.embeddings.delete_embedding(PRODUCT, owner, MODEL))


def test_a_deleted_product_has_no_version(world: World) -> None:
    owner = deleted(world)
    before = every_row(world.manager)
    at_second = Terms(versions=[2])
    refused = raises(PreconditionFailed, lambda: world.embeddings.store_embedding(stored_by(owner), at_second))
    assert refused
    assert every_row(world.manager) == before


def test_a_deleted_product_is_not_listed(world: World) -> None:
    assert not world.embeddings.list_embeddings(deleted(world), MODEL).embeddings


def test_a_deleted_product_is_not_walked_over(world: World) -> None:
    assert not list(world.embeddings.get_embeddings_by_model(deleted(world), MODEL))


def test_a_deleted_product_is_known_to_be_so(world: World) -> None:
    owner = deleted(world)
    ((row,),) = world.embeddings.changes_since(owner, MODEL, None)
    assert row.vector is None
    assert list(world.embeddings.changed_ids_since(owner, MODEL, None)) == [(PRODUCT, False)]


def test_a_read_by_time_leaves_out_what_is_older(world: World) -> None:
    owner = world.someone()
    embed(owner, "older")
    newer = embed(owner, "newer")
    (rows,) = world.embeddings.changes_since(owner, MODEL, newer.updated_at)
    assert [row.product_id for row in rows] == ["newer"]


def test_a_list_is_of_one_owners_model_version(world: World) -> None:
    owner, other = world.someone(), world.someone()
    embed(owner)
    embed(other, "other's")
    embed(owner, "another model's", model_version="another")
    page = world.embeddings.list_embeddings(owner, MODEL)
    assert [row.product_id for row in page.embeddings] == [PRODUCT]


def test_an_owner_cannot_reach_into_anothers_partition(world: World) -> None:
    before = every_row(world.manager)
    row = stored_by(f"{world.someone()}#a")
    calls: list[Callable[[], object]] = [
        lambda: world.embeddings.store_embedding(row),
        lambda: world.embeddings.get_products([PRODUCT], row.user_id, MODEL),
        lambda: world.embeddings.list_embeddings(row.user_id, MODEL),
    ]
    assert all(raises(Forbidden, call) for call in calls)
    assert every_row(world.manager) == before


def test_a_repeated_store_answers_as_the_first_although_it_is_deleted(world: World) -> None:
    owner = world.someone()
    terms = Terms(WriteId(str(uuid.uuid4()), "content"))
    first = world.embeddings.store_embedding(stored_by(owner), terms)
    world.embeddings.delete_embedding(PRODUCT, owner, MODEL)
    repeat = world.embeddings.store_embedding(stored_by(owner), terms)
    assert (repeat.vector_dimension, repeat.product, repeat.created_at) == (2, {"new": 1}, first.created_at)


def test_a_repeated_change_of_what_is_deleted_is_not_answered(world: World) -> None:
    owner = world.someone()
    embed(owner)
    terms = Terms(WriteId(str(uuid.uuid4()), "content"))
    world.embeddings.update_product(PRODUCT, owner, MODEL, {"x": 1}, terms)
    world.embeddings.delete_embedding(PRODUCT, owner, MODEL)
    assert raises(OutcomeUnknown, lambda: world.embeddings.update_product(PRODUCT, owner, MODEL, {"x": 1}, terms))


# Model versions


def test_model_versions_are_capped(world: World) -> None:
    owner = world.someone()
    entry = {"dimension": 2, "created_at": FUTURE}
    full = {f"m{number}": entry for number in range(model_versions.MAX_MODEL_VERSIONS)}
    world.manager.get_users_table().put_item(Item={"user_id": owner, "models": full})
    assert raises(Conflict, lambda: embed(owner))


def test_the_first_dimension_decides(world: World) -> None:
    """Of two first vectors at once."""
    owner = world.someone()
    embed(owner, model_version="another")
    others = ModelVersionRepository(DatabaseManager())

    def meanwhile(request: AWSPreparedRequest) -> AWSResponse:
        answer = botocore_stubber("before-send", request)
        others.declare(owner, MODEL, 3)
        assert answer is not None
        return answer

    with faulty(world.manager, meanwhile, times=1):
        refused = raises(InvalidRequest, lambda: world.models.declare(owner, MODEL, 2))
    assert refused
    assert ModelVersionRepository(DatabaseManager()).dimension_of(owner, MODEL) == 3


def test_a_dimension_is_kept_to(world: World) -> None:
    owner = world.someone()
    embed(owner)
    assert raises(InvalidRequest, lambda: embed(owner, vector=[1, 2, 3]))


def test_the_map_of_model_versions_is_made_once(world: World) -> None:
    owner = world.someone()
    embed(owner)
    world.models._add_map(writes.Target(world.manager.settings.users_table, {"user_id": owner}, owner, "profile"))
    assert world.models.list_model_versions(owner) == {MODEL: 2}


def test_a_row_from_before_there_were_model_versions_gets_a_map(world: World) -> None:
    owner, table = world.someone(), world.manager.settings.users_table
    key: Any = {"user_id": {"S": owner}}
    users.UserRepository(world.manager).create_user(DBUser(user_id=owner))
    world.manager.call("update_item", TableName=table, Key=key, UpdateExpression="REMOVE models")
    world.models._add_map(writes.Target(table, {"user_id": owner}, owner, "profile"))
    assert world.manager.call("get_item", TableName=table, Key=key)["Item"]["models"] == {"M": {}}


def test_no_model_version_is_declared_behind_a_fence(world: World) -> None:
    owner = world.someone()
    world.models.declare(owner, "before", 2)
    AccountRows(world.manager, owner).fence(FUTURE)
    assert raises(Unavailable, lambda: ModelVersionRepository(DatabaseManager()).declare(owner, MODEL, 2))
    assert MODEL not in ModelVersionRepository(DatabaseManager()).list_model_versions(owner)


def test_the_map_of_model_versions_makes_no_row(world: World) -> None:
    """The profile was erased meanwhile."""
    owner = world.someone()
    world.models._add_map(writes.Target(world.manager.settings.users_table, {"user_id": owner}, owner, "profile"))
    assert raises(NotFound, lambda: UserRepository(world.manager).get_user(owner))


def test_the_dimension_of_one_owner_is_not_anothers(world: World) -> None:
    owner, other = world.someone(), world.someone()
    embed(owner)
    assert not raises_any(lambda: embed(other, vector=[1, 2, 3]))


# Deleting by filter


def test_a_dry_run_deletes_nothing(world: World) -> None:
    owner = world.someone()
    embed(owner)
    before = every_row(world.manager)
    step = embedding_deletion.delete_step(world.embeddings, owner, MODEL, parse_filter({}), is_dry_run=True)
    assert (step.matched, step.deleted) == (1, 0)
    assert every_row(world.manager) == before


def test_what_does_not_match_is_not_deleted(world: World) -> None:
    owner = world.someone()
    embed(owner)
    embedding_deletion.delete_step(world.embeddings, owner, MODEL, parse_filter({"price": 2}))
    assert not raises_any(lambda: world.product(owner))


def test_what_changed_meanwhile_is_not_deleted(world: World) -> None:
    owner = world.someone()
    embed(owner)
    others = EmbeddingRepository(DatabaseManager())

    def meanwhile(request: AWSPreparedRequest) -> AWSResponse:
        answer = botocore_stubber("before-send", request)
        others.update_product(PRODUCT, owner, MODEL, {"price": 2})
        assert answer is not None
        return answer

    with faulty(world.manager, meanwhile, times=1):
        step = embedding_deletion.delete_step(world.embeddings, owner, MODEL, parse_filter({"price": 1}))
    assert (step.matched, step.deleted) == (1, 0)
    assert not raises_any(lambda: world.product(owner))


# Catalogues, route by route


def refuses(world: World, api: Api, case: Case) -> bool:
    before = every_row(world.manager), every_object()
    answer = case.send(api)
    return answer.status == 403 and (every_row(world.manager), every_object()) == before


@pytest.mark.parametrize("case", [case for case in EMBEDDINGS if case.writes], ids=case_id)
def test_only_admins_write_the_shared_catalogue(case: Case, world: World) -> None:
    embed("shared", cases.NEW_PRODUCT if case.path == "/embeddings/search" else PRODUCT)
    assert refuses(world, world.api(world.someone(), "Admins", "k9-admins "), case.in_catalogue("shared"))


@pytest.mark.parametrize("case", EMBEDDINGS, ids=case_id)
def test_nobody_passes_for_the_shared_owner(case: Case, world: World) -> None:
    """An account of that very name; where it writes, though it were an admin."""
    embed("shared", cases.OTHER_PRODUCT)
    report = world.report("shared", reference={"product_id": cases.OTHER_PRODUCT})
    before = every_row(world.manager), every_object()
    answer = case.send(world.api("shared", "k9-admins"), report.id)
    assert answer.status == 403
    assert (every_row(world.manager), every_object()) == before


def test_accounts_of_odd_names_are_refused(world: World) -> None:
    case = CASES["GET", "/embeddings/models"]
    assert all(case.send(world.api(name)).status == 403 for name in ("a#b", "..", "\u00fc", "a b"))


def test_the_shared_owners_row_is_nobodys_profile(world: World) -> None:
    world.manager.get_users_table().delete_item(Key={"user_id": "shared"})
    world.manager.settled.clear()
    admin = Api.as_user(world.someone(), world.tokens, groups=["k9-admins"], name="Ada", email="ada@example.com")
    body = {"product_id": str(uuid.uuid4()), "model_version": MODEL, "embedding_vector": [1, 2], "catalogue": "shared"}
    assert admin.post("/embeddings", body).status == 201
    row = world.manager.get_users_table().get_item(Key={"user_id": "shared"})["Item"]
    assert not {"name", "email"} & {name for name, value in row.items() if value}


# What is kept in memory, and in the bucket


def two_users_of_one_model(world: World) -> list[tuple[Api, str]]:
    users = [world.someone() for _ in range(2)]
    for user in users:
        embed(user, f"of {user}")
        embed(user, f"also of {user}", cases.OTHER_VECTOR)
    return [(world.api(user), user) for user in users]


def test_a_search_finds_ones_own(world: World) -> None:
    assert all(finds(api, both(user)) for api, user in two_users_of_one_model(world))


def test_an_index_is_ones_own(world: World) -> None:
    """Of two who declared their model version at the same moment, which tells no two indexes apart."""
    users = [user for _, user in two_users_of_one_model(world)]
    kept = cache.default_cache()
    indexes = [kept.index_of(user, MODEL, 2, declared_at="then") for user in users]
    found = [[hit.product_id for hit in index.search(Query(np.ones(2, np.float32)), lambda: None)] for index in indexes]
    assert [sorted(ids) for ids in found] == [both(user) for user in users]


def test_an_account_with_a_newer_model_version_is_not_forgotten(world: World) -> None:
    user = world.someone()
    world.models.declare(user, MODEL, 2)
    rows = AccountRows(world.manager, user)
    seen = rows.see_profile()
    world.models.declare(user, "newer", 2)
    assert not rows.delete_profile(seen)


def test_an_account_that_was_made_anew_is_not_forgotten(world: World) -> None:
    user = world.someone()
    users.UserRepository(world.manager).create_user(DBUser(user_id=user, created_at="2026-01-01T00:00:00.000000Z"))
    rows = AccountRows(world.manager, user)
    seen = rows.see_profile()
    users.UserRepository(world.manager).delete_user(user)
    users.UserRepository(world.manager).create_user(DBUser(user_id=user))
    assert not rows.delete_profile(seen)


@pytest.mark.parametrize(
    "seen",
    [
        ProfileSeen(exists=True, created_at=None, has_map=True, model_versions=frozenset({MODEL})),
        ProfileSeen(exists=True, created_at="2026-01-01T00:00:00.000000Z", has_map=False),
    ],
    ids=["of another origin", "before there was a model version"],
)
def test_an_account_that_is_another_than_was_seen_is_not_forgotten(world: World, seen: ProfileSeen) -> None:
    user = world.someone()
    users.UserRepository(world.manager).create_user(DBUser(user_id=user, created_at="2026-01-01T00:00:00.000000Z"))
    world.models.declare(user, MODEL, 2)
    assert not AccountRows(world.manager, user).delete_profile(seen)


def test_an_account_that_is_gone_was_not_forgotten_now(world: World) -> None:
    assert not AccountRows(world.manager, world.someone()).delete_profile(ProfileSeen(exists=True))


def test_an_erasure_spares_a_foreign_report(world: World) -> None:
    report = world.report("bob")
    assert AccountRows(world.manager, "alice").delete_reports([report.id], lambda: None) == 0
    assert world.reports.get_report(report.id, "bob").id == report.id


def test_the_first_pass_of_an_erasure_passes_over_what_is_deleted(world: World) -> None:
    owner = world.someone()
    for product_id in ("p", "q"):
        embed(owner, product_id)
    EmbeddingRepository(world.manager).delete_embedding("p", owner, MODEL)
    eraser = EmbeddingEraser(world.manager, owner, MODEL)

    def found(*, tombstones: bool) -> list[str]:
        return sorted(row.product_id for page in eraser.pages(tombstones=tombstones) for row in page)

    assert (found(tombstones=False), found(tombstones=True)) == (["q"], ["p", "q"])


def test_every_account_has_a_record_of_its_own() -> None:
    assert len({account_digest(user) for user in ("a", "b", "", "ab")}) == 4


def test_another_erasures_fence_stays(world: World) -> None:
    rows = AccountRows(world.manager, world.someone())
    rows.fence("2026-01-01T00:00:00.000000Z")
    rows.lift("2025-01-01T00:00:00.000000Z")
    assert rows.see_profile().exists


def test_a_search_from_a_snapshot_finds_ones_own(world: World) -> None:
    users = two_users_of_one_model(world)
    for _, user in users:
        jobs.build_snapshot(objects.default_objects(), user, MODEL, check=lambda: None)
    cache.default_cache.cache_clear()
    assert all(finds(api, both(user)) for api, user in users)


def finds(api: Api, product_ids: list[str]) -> bool:
    answer = api.post("/embeddings/search", {"model_version": MODEL, "embedding_vector": [1, 1]})
    return answer.status == 200 and sorted(hit["product_id"] for hit in answer.json()["hits"]) == product_ids


def both(user: str) -> list[str]:
    return [f"also of {user}", f"of {user}"]


def test_a_matrix_is_ones_own(world: World) -> None:
    users = two_users_of_one_model(world)
    case = CASES["GET", "/embeddings/similarity/{product_id}"]
    for _, user in users:
        cases.build_matrix(user)
    answers = [(case.send(api, product_id=f"of {user}"), user) for api, user in users]
    assert all(
        answer.status == 200 and [row["product_id"] for row in answer.json()["neighbors"]] == [f"also of {user}"]
        for answer, user in answers
    )


def test_a_deleted_product_has_no_neighbours(world: World) -> None:
    ((api, user), _) = two_users_of_one_model(world)
    cases.build_matrix(user)
    world.embeddings.delete_embedding(f"of {user}", user, MODEL)
    assert CASES["GET", "/embeddings/similarity/{product_id}"].send(api, product_id=f"of {user}").status == 404


def test_a_deleted_product_is_no_neighbour(world: World) -> None:
    ((api, user), _) = two_users_of_one_model(world)
    cases.build_matrix(user)
    world.embeddings.delete_embedding(f"also of {user}", user, MODEL)
    answer = CASES["GET", "/embeddings/similarity/{product_id}"].send(api, product_id=f"of {user}")
    assert answer.status == 200
    assert answer.json()["neighbors"] == []


def test_a_download_lies_under_its_owner(world: World) -> None:
    """An owner with a slash has no part in the folder of one whose name it begins with."""
    assert [objects.export_prefix(owner) for owner in ("a", "a/b")] == ["exports/a/", "exports/a%2Fb/"]


def test_a_large_export_lies_under_its_owner(world: World) -> None:
    owner = world.someone()
    embed(owner)
    with patch.object(export_report, "EXPORT_INLINE_BYTES", 1):
        answer = CASES["GET", "/reports/{report_id}/export"].send(world.api(owner), world.report(owner).id)
    assert answer.status == 200
    assert any(key.startswith(f"exports/{owner}/") for key in every_object())


def raises_any(call: Callable[[], object]) -> bool:
    try:
        call()
    except (ApiError, ClientError):
        return True
    return False


def is_at(world: World, report: DBReport, version: int) -> bool:
    return world.reports.get_report(report.id, "alice").version == version
