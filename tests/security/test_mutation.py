"""No condition and no owner check is there for show: each is taken out, and a scenario must then notice.

A mutant is a change of one function's source, or a condition made true for every row. Its probe says whether a rule of
the write path or of ownership holds; it must hold as the code is, and must not under the mutant.
"""

import ast
import inspect
import re
import textwrap
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError
from moto.core.models import botocore_stubber

from handlers.embeddings import (
    build_matrix,
    catalogues,
    delete_embedding,
    delete_embeddings,
    get_embedding,
    get_matrix,
    get_neighbors,
    list_embeddings,
    list_models,
    search_embeddings,
    store_embedding,
    store_embeddings,
    update_product,
)
from handlers.reports import export_report, score_product, search_report
from shared.auth import Caller
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
    embeddings,
    model_versions,
    reports,
    repository,
    users,
    writes,
)
from shared.database.account_rows import AccountRows
from shared.errors import ApiError, Conflict, Forbidden, InvalidRequest, NotFound, OutcomeUnknown, PreconditionFailed
from shared.http import Endpoint
from shared.models.filters import parse_filter
from shared.models.report import MAX_FAVORITES
from shared.models.user import UpdateProfile
from shared.models.vector import Vector
from shared.similarity import cache, jobs, matrix, objects
from shared.similarity.query import Query
from tests.support import cases
from tests.support.api import Api
from tests.support.cases import CASES, EMBEDDINGS, MODEL, PRODUCT, Case, embed, every_object, every_row
from tests.support.faults import faulty, raising, requests_sent
from tests.support.tokens import TokenFactory

FUTURE = "2099-01-01T00:00:00.000000Z"
PAST = "2020-01-01T00:00:00.000000Z"


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


# Avatars


LONG_AGO, LATER, LATEST = (f"200{year}-01-01T00:00:00.000000Z" for year in (1, 2, 3))


def an_older_upload_does_not_replace_a_newer_one(world: World) -> bool:
    user = world.users.create_user(DBUser(user_id=world.someone(), created_at=LONG_AGO))
    world.users.place_avatar(user.user_id, "/latest", LATEST)
    return world.users.place_avatar(user.user_id, "/later", LATER).avatar_url == "/latest"


def an_upload_does_not_outlive_the_row_it_was_asked_for(world: World) -> bool:
    user = world.users.create_user(DBUser(user_id=world.someone(), created_at=LATEST))
    return world.users.place_avatar(user.user_id, "/later", LATER).avatar_url is None


def an_address_that_a_client_gives_replaces_what_was_uploaded_before(world: World) -> bool:
    user = world.users.create_user(DBUser(user_id=world.someone(), created_at=LONG_AGO))
    world.users.update_user(user.user_id, {"avatar_url": "https://example.com/"})
    return world.users.place_avatar(user.user_id, "/later", LATER).avatar_url == "https://example.com/"


def an_image_that_is_gone_is_not_shown(world: World) -> bool:
    user = world.users.create_user(DBUser(user_id=world.someone(), avatar_url="/avatars/now"))
    former = UpdateProfile(avatar_url=None).model_copy(update={"avatar_url": "/avatars/former"})
    return raises(InvalidRequest, lambda: world.users.update_user(user.user_id, former))


def a_later_refusal_stays(world: World) -> bool:
    user = world.users.create_user(DBUser(user_id=world.someone(), created_at=LONG_AGO))
    world.users.refuse_avatar(user.user_id, "latest", LATEST)
    return world.users.refuse_avatar(user.user_id, "later", LATER).avatar_error == "latest"


# Ownership


def a_foreign_row_cannot_be_read(world: World) -> bool:
    report = world.report("bob")
    return raises(NotFound, lambda: world.reports.get_report(report.id, "alice"))


def a_foreign_row_cannot_be_updated(world: World) -> bool:
    report = world.report("bob")
    return unchanged_and_missing(world, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}))


def a_request_for_a_foreign_row_alone_is_counted(world: World) -> bool:
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
    return len(noted) == 1


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
    report, others = world.report(created_at=PAST), world.others

    def push_out() -> None:
        for number in range(len(conditions.REGISTER)):
            others.update_report(report.id, "alice", {"author": str(number + 1)})

    with faulty(world.manager, lost_after(push_out), times=1):
        return raises(OutcomeUnknown, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}))


def a_report_made_again_says_nothing_of_the_former(world: World) -> bool:
    """The first try changes a report that is deleted and made again; the retry meets the new one."""
    report = world.report(created_at=PAST)

    def make_again() -> None:
        world.others.delete_report(report.id, "alice")
        world.report(id=report.id)
        world.others.update_report(report.id, "alice", {"author": "A"})

    with faulty(world.manager, lost_after(make_again), times=1):
        stale = Terms(versions=[1])
        return raises(OutcomeUnknown, lambda: world.reports.update_report(report.id, "alice", {"title": "X"}, stale))


def a_report_made_again_says_nothing_of_a_delete(world: World) -> bool:
    report = world.report(created_at=PAST)

    def make_again() -> None:
        world.report(id=report.id)
        world.others.update_report(report.id, "alice", {"author": "A"})

    with faulty(world.manager, lost_after(make_again), times=1):
        return raises(OutcomeUnknown, lambda: world.reports.delete_report(report.id, "alice", [1]))


def a_report_made_of_other_content_says_nothing_of_the_former(world: World) -> bool:
    report_id = str(uuid.uuid4())
    report = DBReport(id=report_id, user_id="alice", title="T")

    def make_another() -> None:
        world.others.delete_report(report_id, "alice")
        world.others.create_report(report, write=WriteId(report_id, "other"))

    with faulty(world.manager, lost_after(make_another), times=1):
        mine = WriteId(report_id, "mine")
        return raises(OutcomeUnknown, lambda: world.reports.create_report(report, write=mine))


def a_rule_of_the_moment_is_no_last_word(world: World) -> bool:
    """The favourite is there when the retry comes; removed by a clock that is behind, the first try would add it."""
    report = world.report(created_at=PAST, favorites={"p"})
    with faulty(world.manager, raising(ReadTimeoutError(endpoint_url="")), times=1):
        return raises(OutcomeUnknown, lambda: world.reports.add_favorite(report.id, "alice", "p"))


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


def a_foreign_embedding_is_neither_replaced_nor_shown(world: World) -> bool:
    owner = planted(world)
    before = every_row(world.manager)
    refused = raises(Conflict, lambda: world.embeddings.store_embedding(stored_by(owner)))
    return refused and every_row(world.manager) == before


def a_foreign_embedding_is_not_replaced_at_a_version(world: World) -> bool:
    owner = planted(world)
    before = every_row(world.manager)
    at_first = Terms(versions=[1])
    refused = raises(PreconditionFailed, lambda: world.embeddings.store_embedding(stored_by(owner), at_first))
    return refused and every_row(world.manager) == before


def a_foreign_embedding_cannot_be_read(world: World) -> bool:
    owner = planted(world)
    return raises(NotFound, lambda: world.product(owner))


def a_foreign_embedding_cannot_be_changed(world: World) -> bool:
    owner = planted(world)
    return unchanged_and_missing(world, lambda: world.embeddings.update_product(PRODUCT, owner, MODEL, {"x": 1}))


def a_stale_version_cannot_be_replaced(world: World) -> bool:
    owner = world.someone()
    embed(owner)
    embed(owner, product={"name": "newer"})
    stale = Terms(versions=[1])
    refused = raises(PreconditionFailed, lambda: world.embeddings.store_embedding(stored_by(owner), stale))
    return refused and world.product(owner).product == {"name": "newer"}


def a_store_at_a_version_makes_no_row(world: World) -> bool:
    owner = world.someone()
    embed(owner, "another")
    before = every_row(world.manager)
    at_first = Terms(versions=[1])
    refused = raises(PreconditionFailed, lambda: world.embeddings.store_embedding(stored_by(owner), at_first))
    return refused and every_row(world.manager) == before


def deleted(world: World) -> str:
    """A user whose product has been deleted: the tombstone is at version 2."""
    owner = world.someone()
    embed(owner)
    world.embeddings.delete_embedding(PRODUCT, owner, MODEL)
    return owner


def a_deleted_product_cannot_be_read(world: World) -> bool:
    owner = deleted(world)
    return raises(NotFound, lambda: world.product(owner))


def a_deleted_product_is_no_metadata(world: World) -> bool:
    return world.embeddings.get_products([PRODUCT], deleted(world), MODEL) == {}


def a_deleted_product_is_not_found(world: World) -> bool:
    return world.embeddings.find_embeddings([PRODUCT], deleted(world), MODEL) == {}


def a_deleted_product_is_not_changed(world: World) -> bool:
    owner = deleted(world)
    return unchanged_and_missing(world, lambda: world.embeddings.update_product(PRODUCT, owner, MODEL, {"x": 1}))


def a_deleted_product_is_not_deleted_again(world: World) -> bool:
    owner = deleted(world)
    return unchanged_and_missing(world, lambda: world.embeddings.delete_embedding(PRODUCT, owner, MODEL))


def a_deleted_product_has_no_version(world: World) -> bool:
    owner = deleted(world)
    before = every_row(world.manager)
    at_second = Terms(versions=[2])
    refused = raises(PreconditionFailed, lambda: world.embeddings.store_embedding(stored_by(owner), at_second))
    return refused and every_row(world.manager) == before


def a_deleted_product_is_not_listed(world: World) -> bool:
    return not world.embeddings.list_embeddings(deleted(world), MODEL).embeddings


def a_deleted_product_is_not_walked_over(world: World) -> bool:
    return not list(world.embeddings.get_embeddings_by_model(deleted(world), MODEL))


def a_deleted_product_is_known_to_be_so(world: World) -> bool:
    owner = deleted(world)
    ((row,),) = world.embeddings.changes_since(owner, MODEL, None)
    return row.vector is None and list(world.embeddings.changed_ids_since(owner, MODEL, None)) == [(PRODUCT, False)]


def a_read_by_time_leaves_out_what_is_older(world: World) -> bool:
    owner = world.someone()
    embed(owner, "older")
    newer = embed(owner, "newer")
    (rows,) = world.embeddings.changes_since(owner, MODEL, newer.updated_at)
    return [row.product_id for row in rows] == ["newer"]


def a_list_is_of_one_owners_model_version(world: World) -> bool:
    owner, other = world.someone(), world.someone()
    embed(owner)
    embed(other, "other's")
    embed(owner, "another model's", model_version="another")
    page = world.embeddings.list_embeddings(owner, MODEL)
    return [row.product_id for row in page.embeddings] == [PRODUCT]


def an_owner_cannot_reach_into_anothers_partition(world: World) -> bool:
    before = every_row(world.manager)
    row = stored_by(f"{world.someone()}#a")
    calls: list[Callable[[], object]] = [
        lambda: world.embeddings.store_embedding(row),
        lambda: world.embeddings.get_products([PRODUCT], row.user_id, MODEL),
        lambda: world.embeddings.list_embeddings(row.user_id, MODEL),
    ]
    return all(raises(Forbidden, call) for call in calls) and every_row(world.manager) == before


def a_repeated_store_answers_as_the_first_although_it_is_deleted(world: World) -> bool:
    owner = world.someone()
    terms = Terms(WriteId(str(uuid.uuid4()), "content"))
    first = world.embeddings.store_embedding(stored_by(owner), terms)
    world.embeddings.delete_embedding(PRODUCT, owner, MODEL)
    try:
        repeat = world.embeddings.store_embedding(stored_by(owner), terms)
    except KeyError:  # a tombstone, taken for the product, lacks what a product has
        return False
    return (repeat.vector_dimension, repeat.product, repeat.created_at) == (2, {"new": 1}, first.created_at)


def a_repeated_change_of_what_is_deleted_is_not_answered(world: World) -> bool:
    owner = world.someone()
    embed(owner)
    terms = Terms(WriteId(str(uuid.uuid4()), "content"))
    world.embeddings.update_product(PRODUCT, owner, MODEL, {"x": 1}, terms)
    world.embeddings.delete_embedding(PRODUCT, owner, MODEL)
    return raises(OutcomeUnknown, lambda: world.embeddings.update_product(PRODUCT, owner, MODEL, {"x": 1}, terms))


# Model versions


def model_versions_are_capped(world: World) -> bool:
    owner = world.someone()
    entry = {"dimension": 2, "created_at": FUTURE}
    full = {f"m{number}": entry for number in range(model_versions.MAX_MODEL_VERSIONS)}
    world.manager.get_users_table().put_item(Item={"user_id": owner, "models": full})
    return raises(Conflict, lambda: embed(owner))


def the_first_dimension_decides(world: World) -> bool:
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
    return refused and ModelVersionRepository(DatabaseManager()).dimension_of(owner, MODEL) == 3


def a_dimension_is_kept_to(world: World) -> bool:
    owner = world.someone()
    embed(owner)
    return raises(InvalidRequest, lambda: embed(owner, vector=[1, 2, 3]))


def the_map_of_model_versions_is_made_once(world: World) -> bool:
    owner = world.someone()
    embed(owner)
    world.models._add_map(writes.Target(world.manager.settings.users_table, {"user_id": owner}, owner, "profile"))
    return world.models.list_model_versions(owner) == {MODEL: 2}


def the_dimension_of_one_owner_is_not_anothers(world: World) -> bool:
    owner, other = world.someone(), world.someone()
    embed(owner)
    return not raises_any(lambda: embed(other, vector=[1, 2, 3]))


# Deleting by filter


def a_dry_run_deletes_nothing(world: World) -> bool:
    owner = world.someone()
    embed(owner)
    before = every_row(world.manager)
    step = embedding_deletion.delete_step(world.embeddings, owner, MODEL, parse_filter({}), is_dry_run=True)
    return (step.matched, step.deleted) == (1, 0) and every_row(world.manager) == before


def what_does_not_match_is_not_deleted(world: World) -> bool:
    owner = world.someone()
    embed(owner)
    embedding_deletion.delete_step(world.embeddings, owner, MODEL, parse_filter({"price": 2}))
    return not raises_any(lambda: world.product(owner))


def what_changed_meanwhile_is_not_deleted(world: World) -> bool:
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
    return (step.matched, step.deleted) == (1, 0) and not raises_any(lambda: world.product(owner))


# Catalogues, route by route


def refuses(world: World, api: Api, case: Case) -> bool:
    before = every_row(world.manager), every_object()
    answer = case.send(api)
    return answer.status == 403 and (every_row(world.manager), every_object()) == before


def only_admins_write_the_shared_catalogue(case: Case, world: World) -> bool:
    embed("shared", cases.NEW_PRODUCT if case.path == "/embeddings/search" else PRODUCT)
    return refuses(world, world.api(world.someone(), "Admins", "k9-admins "), case.in_catalogue("shared"))


def nobody_passes_for_the_shared_owner(case: Case, world: World) -> bool:
    """An account of that very name; where it writes, though it were an admin."""
    embed("shared", cases.OTHER_PRODUCT)
    report = world.report("shared", reference={"product_id": cases.OTHER_PRODUCT})
    before = every_row(world.manager), every_object()
    answer = case.send(world.api("shared", "k9-admins"), report.id)
    return answer.status == 403 and (every_row(world.manager), every_object()) == before


def accounts_of_odd_names_are_refused(world: World) -> bool:
    case = CASES["GET", "/embeddings/models"]
    return all(case.send(world.api(name)).status == 403 for name in ("a#b", "..", "\u00fc", "a b"))


def the_shared_owners_row_is_nobodys_profile(world: World) -> bool:
    world.manager.get_users_table().delete_item(Key={"user_id": "shared"})
    world.manager.settled.clear()
    admin = Api.as_user(world.someone(), world.tokens, groups=["k9-admins"], name="Ada", email="ada@example.com")
    body = {"product_id": str(uuid.uuid4()), "model_version": MODEL, "embedding_vector": [1, 2], "catalogue": "shared"}
    if admin.post("/embeddings", body).status != 201:
        return False
    row = world.manager.get_users_table().get_item(Key={"user_id": "shared"})["Item"]
    return not {"name", "email"} & {name for name, value in row.items() if value}


# What is kept in memory, and in the bucket


def two_users_of_one_model(world: World) -> list[tuple[Api, str]]:
    users = [world.someone() for _ in range(2)]
    for user in users:
        embed(user, f"of {user}")
        embed(user, f"also of {user}", cases.OTHER_VECTOR)
    return [(world.api(user), user) for user in users]


def a_search_finds_ones_own(world: World) -> bool:
    return all(finds(api, both(user)) for api, user in two_users_of_one_model(world))


def an_index_is_ones_own(world: World) -> bool:
    """Of two who declared their model version at the same moment, which tells no two indexes apart."""
    users = [user for _, user in two_users_of_one_model(world)]
    kept = cache.default_cache()
    indexes = [kept.index_of(user, MODEL, 2, declared_at="then") for user in users]
    found = [[hit.product_id for hit in index.search(Query(np.ones(2, np.float32)), lambda: None)] for index in indexes]
    return [sorted(ids) for ids in found] == [both(user) for user in users]


def an_account_with_a_newer_model_version_is_not_forgotten(world: World) -> bool:
    user = world.someone()
    world.models.declare(user, MODEL, 2)
    rows = AccountRows(world.manager, user)
    seen = rows.see_profile()
    world.models.declare(user, "newer", 2)
    return not rows.delete_profile(seen)


def an_account_that_was_made_anew_is_not_forgotten(world: World) -> bool:
    user = world.someone()
    users.UserRepository(world.manager).create_user(DBUser(user_id=user, created_at="2026-01-01T00:00:00.000000Z"))
    rows = AccountRows(world.manager, user)
    seen = rows.see_profile()
    users.UserRepository(world.manager).delete_user(user)
    users.UserRepository(world.manager).create_user(DBUser(user_id=user))
    return not rows.delete_profile(seen)


def another_erasures_fence_stays(world: World) -> bool:
    rows = AccountRows(world.manager, world.someone())
    rows.fence("2026-01-01T00:00:00.000000Z")
    rows.lift("2025-01-01T00:00:00.000000Z")
    return rows.see_profile().exists


def a_search_from_a_snapshot_finds_ones_own(world: World) -> bool:
    users = two_users_of_one_model(world)
    for _, user in users:
        jobs.build_snapshot(objects.default_objects(), user, MODEL, check=lambda: None)
    cache.default_cache.cache_clear()
    return all(finds(api, both(user)) for api, user in users)


def finds(api: Api, product_ids: list[str]) -> bool:
    answer = api.post("/embeddings/search", {"model_version": MODEL, "embedding_vector": [1, 1]})
    return answer.status == 200 and sorted(hit["product_id"] for hit in answer.json()["hits"]) == product_ids


def both(user: str) -> list[str]:
    return [f"also of {user}", f"of {user}"]


def a_matrix_is_ones_own(world: World) -> bool:
    users = two_users_of_one_model(world)
    case = CASES["GET", "/embeddings/similarity/{product_id}"]
    for _, user in users:
        try:
            cases.build_matrix(user)
        except (ApiError, ClientError, objects.ObjectChanged, AssertionError):
            return False
    answers = [(case.send(api, product_id=f"of {user}"), user) for api, user in users]
    return all(
        answer.status == 200 and [row["product_id"] for row in answer.json()["neighbors"]] == [f"also of {user}"]
        for answer, user in answers
    )


def a_deleted_product_has_no_neighbours(world: World) -> bool:
    ((api, user), _) = two_users_of_one_model(world)
    cases.build_matrix(user)
    world.embeddings.delete_embedding(f"of {user}", user, MODEL)
    return CASES["GET", "/embeddings/similarity/{product_id}"].send(api, product_id=f"of {user}").status == 404


def a_deleted_product_is_no_neighbour(world: World) -> bool:
    ((api, user), _) = two_users_of_one_model(world)
    cases.build_matrix(user)
    world.embeddings.delete_embedding(f"also of {user}", user, MODEL)
    answer = CASES["GET", "/embeddings/similarity/{product_id}"].send(api, product_id=f"of {user}")
    return answer.status == 200 and answer.json()["neighbors"] == []


def a_download_lies_under_its_owner(world: World) -> bool:
    """An owner with a slash has no part in the folder of one whose name it begins with."""
    return [objects.export_prefix(owner) for owner in ("a", "a/b")] == ["exports/a/", "exports/a%2Fb/"]


def a_large_export_lies_under_its_owner(world: World) -> bool:
    owner = world.someone()
    embed(owner)
    with patch.object(export_report, "EXPORT_INLINE_BYTES", 1):
        answer = CASES["GET", "/reports/{report_id}/export"].send(world.api(owner), world.report(owner).id)
    return answer.status == 200 and any(key.startswith(f"exports/{owner}/") for key in every_object())


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
        """The code alone is exchanged, so that it does not matter who has imported the function by its name."""
        original = plain(vars(self.owner)[self.function])
        source = re.sub(r"\A.*?^(?=def )", "", textwrap.dedent(inspect.getsource(original)), flags=re.M | re.S)
        assert source.count(self.old) == 1, f"{self.function} has changed: state the mutant anew"
        made: dict[str, Any] = {}
        exec(source.replace(self.old, self.new), original.__globals__, made)  # noqa: S102 - our own source, one piece changed
        monkeypatch.setattr(original, "__code__", made[original.__name__].__code__)


def plain(function: Any) -> Any:
    """The function under its decorator."""
    if isinstance(function, FunctionType):
        return function
    return function.function if isinstance(function, Endpoint) else function._method


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


def unchecked(module: Any, part: str) -> Source:
    """A handler that takes the catalogue's owner without asking whether this caller may."""
    source = inspect.getsource(module.handler.function)
    check = next(name for name in ("owner_to_write", "owner_to_read") if f"{name}(caller, " in source)
    call = f"{check}(caller, {part}.catalogue)"
    return Source(module, "handler", call, f'("shared" if {part}.catalogue == "shared" else caller.user_id)')


def by_route(probe: Callable[[Case, World], bool], *key: str) -> Probe:
    made = partial(probe, CASES[key[0], key[1]])
    made.__name__ = f"{probe.__name__}: {' '.join(key)}"  # type: ignore[attr-defined]
    return made


ROUTES: list[tuple[Any, str, str, str]] = [
    (store_embedding, "body", "POST", "/embeddings"),
    (store_embeddings, "body", "POST", "/embeddings/batch"),
    (update_product, "query", "PATCH", "/embeddings/{product_id}"),
    (delete_embedding, "query", "DELETE", "/embeddings/{product_id}"),
    (delete_embeddings, "body", "POST", "/embeddings/delete"),
    (build_matrix, "body", "POST", "/embeddings/similarity"),
    (get_embedding, "query", "GET", "/embeddings/{product_id}"),
    (get_matrix, "query", "GET", "/embeddings/similarity"),
    (get_neighbors, "query", "GET", "/embeddings/similarity/{product_id}"),
    (list_embeddings, "query", "GET", "/embeddings"),
    (list_models, "query", "GET", "/embeddings/models"),
    (search_embeddings, "body", "POST", "/embeddings/search"),
    (score_product, "query", "GET", "/reports/{report_id}/products/{product_id}"),
    (search_report, "body", "POST", "/reports/{report_id}/search"),
    (export_report, "query", "GET", "/reports/{report_id}/export"),
]
WRITING = ROUTES[:6]

in_terms = partial(Source, Terms, "condition")
in_delete = partial(Source, writes, "delete")
in_is_done = partial(Source, writes, "_is_done")
in_create = partial(Source, writes, "create")
A_REPEATED_STORE = a_repeated_store_answers_as_the_first_although_it_is_deleted
A_REPEATED_CHANGE = a_repeated_change_of_what_is_deleted_is_not_answered
in_repository = partial(Source, embeddings.EmbeddingRepository)
in_models = partial(Source, model_versions.ModelVersionRepository)
WITHOUT_ROOM = (
    "conditions.room_for_model(model_version, MAX_MODEL_VERSIONS)",
    'Condition("attribute_exists(#models)", {"#models": "models", "#model": model_version})',
)
EITHER = 'conditions.absent("nothing") | conditions.owned_by(target.user_id)'

MUTANTS: list[tuple[Mutant, Probe]] = [
    # The fragments.
    (Always("owned_by"), a_foreign_row_cannot_be_updated),
    (
        Source(writes, "_note_if_foreign", " and not _is_owned(row, target)", ""),
        a_request_for_a_foreign_row_alone_is_counted,
    ),
    (
        Source(writes, "_note_if_foreign", "not _is_owned(row, target)", "False"),
        a_request_for_a_foreign_row_alone_is_counted,
    ),
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
    (Always("live"), a_deleted_product_is_not_changed),
    (Always("live"), a_deleted_product_is_not_listed),
    (Always("live"), a_deleted_product_has_no_version),
    (Always("owned_by"), a_foreign_embedding_is_neither_replaced_nor_shown),
    (Always("owned_by"), a_foreign_embedding_is_not_replaced_at_a_version),
    (Always("owned_by"), a_foreign_embedding_cannot_be_changed),
    (Always("at_version"), a_stale_version_cannot_be_replaced),
    (Always("room_for_model"), model_versions_are_capped),
    (
        Source(conditions, "room_for_model", "attribute_not_exists(#models.#model)", "attribute_exists(#models)"),
        the_first_dimension_decides,
    ),
    (Source(conditions, "not_before", '{"S": updated_at}', '{"S": "0"}'), a_read_by_time_leaves_out_what_is_older),
    (
        Source(conditions, "partition", '{"S": value}', '{"S": value.rsplit("#", 1)[0] + "#another"}'),
        a_list_is_of_one_owners_model_version,
    ),
    (Always("favorite"), a_favorite_that_is_none_is_removed_without_a_write),
    (Always("before"), an_older_upload_does_not_replace_a_newer_one),
    (Always("before"), a_later_refusal_stays),
    (Always("shows"), an_image_that_is_gone_is_not_shown),
    (Always("as_many_models"), an_account_with_a_newer_model_version_is_not_forgotten),
    (Always("made_at"), an_account_that_was_made_anew_is_not_forgotten),
    (Always("fenced"), another_erasures_fence_stays),
    (
        Source(users.UserRepository, "_note_upload", 'conditions.before("created_at"', 'conditions.before("none"'),
        an_upload_does_not_outlive_the_row_it_was_asked_for,
    ),
    (
        Source(users.UserRepository, "_update", '["avatar_as_of"] if', "[] if"),
        an_address_that_a_client_gives_replaces_what_was_uploaded_before,
    ),
    # Where they are composed.
    (in_terms("may_write & ", ""), a_foreign_row_cannot_be_updated),
    (
        Source(writes, "update", "conditions.owned_by(target.user_id)", 'conditions.absent("nothing")'),
        a_foreign_row_cannot_be_updated,
    ),
    (in_terms(" & conditions.older_than(clock)", ""), a_try_that_comes_late_is_refused),
    (in_terms(" & conditions.not_written_by(self.write.id)", ""), a_repeated_write_is_applied_once),
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
        Source(repository.Repository, "_read_own", 'if item.get("user_id") != {"S": target.user_id}:', "if False:"),
        a_foreign_row_cannot_be_read,
    ),
    (
        Source(writes, "_refusing_row", " and _is_owned(row, target)", ""),
        a_foreign_row_cannot_be_updated,
    ),
    (in_delete(" and _is_owned(refusal.row, target)", ""), a_foreign_delete_tells_nothing),
    (in_create(" or not _is_owned(existing, target)", ""), a_create_shows_no_foreign_row_of_the_same_write),
    (in_create("_is_entry(existing.get(_CREATED_BY), write)", "True"), a_create_over_an_own_row_is_refused),
    (
        in_create('_may_have_changed_another(existing, row["updated_at"], refusal)', "False"),
        a_report_made_of_other_content_says_nothing_of_the_former,
    ),
    (
        in_delete("_may_have_changed_another(refusal.row, begun, refusal)", "False"),
        a_report_made_again_says_nothing_of_a_delete,
    ),
    (Source(writes, "ensure", " or not _is_owned(refusal.row, target)", ""), an_ensure_shows_no_foreign_row),
    (Source(writes, "_is_owned", 'row.get("user_id") == target.user_id', "True"), a_foreign_row_cannot_be_updated),
    # Where a refusal is read.
    (in_is_done("if has_made(row, terms.write):", "if False:"), a_repeated_write_is_recognised),
    (
        Source(writes, "_may_have_forgotten", "refusal.may_have_been_applied and _pushed_out(row, clock)", "False"),
        an_outcome_that_cannot_be_known_is_not_guessed,
    ),
    (
        Source(writes, "_may_have_forgotten", " or _may_have_changed_another(row, clock, refusal)", ""),
        a_report_made_again_says_nothing_of_the_former,
    ),
    (
        in_is_done('refusal.may_have_been_applied and row.get("updated_at", "") < clock', "False"),
        a_rule_of_the_moment_is_no_last_word,
    ),
    (
        in_is_done(' and row.get("version", FIRST_VERSION) not in terms.versions', " and False"),
        a_stale_version_cannot_be_updated,
    ),
    (in_is_done(" and terms.guard.is_settled(row)", " and False"), a_repeated_favorite_writes_nothing),
    # Embeddings.
    (
        Source(writes, "upsert", "owned | conditions.absent(next(iter(target.key)))", "owned | ~owned"),
        a_foreign_embedding_is_neither_replaced_nor_shown,
    ),
    (Source(writes, "upsert", "owned & conditions.live()", "conditions.live()"), a_store_at_a_version_makes_no_row),
    (Source(writes, "upsert", "owned & conditions.live()", "owned"), a_deleted_product_has_no_version),
    (in_repository("_update", "Guard(conditions.live(), lambda row: False)", "None"), a_deleted_product_is_not_changed),
    (
        in_repository("_update", "Guard(conditions.live(), lambda row: False)", "None"),
        a_deleted_product_is_not_deleted_again,
    ),
    (
        Source(writes, "_refusing_row", "may_be_dead or is_live(row) or has_made(row, terms.write)", "True"),
        a_deleted_product_is_not_changed,
    ),
    (Source(writes, "is_live", '"deleted_at" not in row', "True"), a_deleted_product_is_not_deleted_again),
    (in_repository("get_embedding", "not writes.is_live(row)", "False"), a_deleted_product_cannot_be_read),
    (in_repository("get_products", " if writes.is_live(row)", ""), a_deleted_product_is_no_metadata),
    (in_repository("_find_batch", " if writes.is_live(row)", ""), a_deleted_product_is_not_found),
    (in_repository("_read_page", "condition=conditions.live()", "condition=None"), a_deleted_product_is_not_listed),
    (
        in_repository("get_embeddings_by_model", "condition=conditions.live()", "condition=None"),
        a_deleted_product_is_not_walked_over,
    ),
    (in_repository("changed_ids_since", "writes.is_live(row)", "True"), a_deleted_product_is_known_to_be_so),
    (
        Source(embeddings, "_to_index_row", "if writes.is_live(row) else None", "if True else None"),
        a_deleted_product_is_known_to_be_so,
    ),
    (
        Source(repository.Repository, "_read_own", 'if item.get("user_id") != {"S": target.user_id}:', "if False:"),
        a_foreign_embedding_cannot_be_read,
    ),
    (in_repository("store_embedding", "writes.is_live(row)", "True"), A_REPEATED_STORE),
    (in_repository("update_product", "not writes.is_live(row)", "False"), A_REPEATED_CHANGE),
    (
        Source(embeddings, "index_key", "require_owner(user_id)", "pass"),
        an_owner_cannot_reach_into_anothers_partition,
    ),
    (
        Source(embeddings, "require_owner", "not _OWNER.fullmatch(user_id)", "False"),
        an_owner_cannot_reach_into_anothers_partition,
    ),
    # Model versions.
    (in_models("_add_entry", *WITHOUT_ROOM), model_versions_are_capped),
    (in_models("_add_entry", *WITHOUT_ROOM), the_first_dimension_decides),
    (
        in_models(
            "_add_map", 'conditions.absent("models")', 'Condition("(NOT #models = :caller)", {"#models": "models"})'
        ),
        the_map_of_model_versions_is_made_once,
    ),
    (
        in_models("declare", "check_dimension(dimension, settled.dimension, model_version)", "pass"),
        a_dimension_is_kept_to,
    ),
    (
        in_models(
            "declaration_of",
            "self._manager.settled.get((user_id, model_version))",
            "next((kept[0] for fact, kept in self._manager.settled._kept.items() if fact[1] == model_version), None)",
        ),
        the_dimension_of_one_owner_is_not_anothers,
    ),
    # Deleting by filter.
    (Source(embedding_deletion, "delete_step", "if is_dry_run:", "if False:"), a_dry_run_deletes_nothing),
    (
        Source(embedding_deletion, "delete_step", " if matches(wanted, row.product)", ""),
        what_does_not_match_is_not_deleted,
    ),
    (
        Source(embedding_deletion, "_delete", "Terms(versions=[row.version])", "Terms()"),
        what_changed_meanwhile_is_not_deleted,
    ),
    # Catalogues.
    *(
        (unchecked(module, part), by_route(only_admins_write_the_shared_catalogue, *key))
        for module, part, *key in WRITING
    ),
    *((unchecked(module, part), by_route(nobody_passes_for_the_shared_owner, *key)) for module, part, *key in ROUTES),
    (
        Source(catalogues, "owner_to_write", 'if catalogue == "shared":', "if False:"),
        by_route(only_admins_write_the_shared_catalogue, "POST", "/embeddings"),
    ),
    (
        Source(Caller, "require_group", "group not in self.groups", "group not in {g.strip() for g in self.groups}"),
        by_route(only_admins_write_the_shared_catalogue, "POST", "/embeddings"),
    ),
    (
        Source(Caller, "require_group", "group not in self.groups", "not any(g.lower() in group for g in self.groups)"),
        by_route(only_admins_write_the_shared_catalogue, "POST", "/embeddings"),
    ),
    (
        Source(catalogues, "owner_to_read", "if caller.user_id == SHARED_OWNER:", "if False:"),
        by_route(nobody_passes_for_the_shared_owner, "GET", "/embeddings"),
    ),
    (Source(catalogues, "owner_to_read", "require_owner(caller.user_id)", "pass"), accounts_of_odd_names_are_refused),
    (Source(catalogues, "profile_of", "owner == SHARED_OWNER", "False"), the_shared_owners_row_is_nobodys_profile),
    # Memory and objects.
    (
        Source(cache.IndexCache, "_entry", "self._entries.setdefault(key, ", "self._entries.setdefault(('', key[1]), "),
        an_index_is_ones_own,
    ),
    (Source(matrix.MatrixStore, "_id_table", "self.ids_key(matrix.folder)", '"ids"'), a_matrix_is_ones_own),
    (
        Source(objects, "object_prefix", '"similarity", owner', '"similarity", "owner"'),
        a_search_from_a_snapshot_finds_ones_own,
    ),
    (Source(objects, "export_prefix", '"exports", owner', '"exports", "owner"'), a_download_lies_under_its_owner),
    (Source(objects, "_prefix", 'quote(part, safe="")', "part"), a_download_lies_under_its_owner),
    (
        Source(export_report, "handler", "default_objects(), caller.user_id", 'default_objects(), "shared"'),
        a_large_export_lies_under_its_owner,
    ),
    (
        Source(get_neighbors, "handler", "if product_id not in products:", "if False:"),
        a_deleted_product_has_no_neighbours,
    ),
    (
        Source(get_neighbors, "handler", "            if found.product_id in products\n", ""),
        a_deleted_product_is_no_neighbour,
    ),
    (Source(writes, "_is_entry", "fingerprint != write.fingerprint", "False"), one_write_has_one_content),
    (
        Source(writes, "_later_than", "if current > last", "if True"),
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
def world(manager: DatabaseManager, tokens: TokenFactory, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return World(manager, tokens)


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
    changed = {mutant.function for mutant, _ in MUTANTS if isinstance(mutant, Source) and mutant.owner is conditions}
    assert {mutant.name for mutant, _ in MUTANTS if isinstance(mutant, Always)} | changed == named


def test_every_owner_check_has_a_mutant() -> None:
    """Each function that says `_is_owned`, `owned_by`, asks for an owner or compares a row's `user_id`.

    But for the key of a query, and for a row whose key is its owner.
    """
    marks = ("_is_owned(", "owned_by(", 'get("user_id")', "is_live(", "conditions.live(", "owner_to_", "require_owner(")
    places = {
        node.name
        for module in (writes, repository, reports, users, embeddings, model_versions, embedding_deletion, catalogues)
        for node in ast.walk(ast.parse(inspect.getsource(module)))
        if isinstance(node, ast.FunctionDef) and any(mark in ast.unparse(node).replace("'", '"') for mark in marks)
    }
    mutated = {mutant.function for mutant, _ in MUTANTS if isinstance(mutant, Source)}
    assert places - mutated == {"_query", "_add_entry"} - mutated


def test_every_handler_of_a_catalogue_has_a_mutant() -> None:
    assert {(key[0], key[1]) for _, _, *key in ROUTES} == {case.key for case in EMBEDDINGS}
    assert {(key[0], key[1]) for _, _, *key in WRITING} == {case.key for case in EMBEDDINGS if case.writes}
