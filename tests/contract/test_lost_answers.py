"""A write that was applied and whose answer got lost: the client sees it once, the data has it once, nobody is undone.

The proxy drops the answer after the engine applied the write, so that the SDK sends it again. `between` lets other
writers in before it does.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

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
)
from shared.database.embedding_deletion import delete_step
from shared.errors import ApiError, NotFound, OutcomeUnknown, PreconditionFailed, Unavailable
from shared.models.filters import parse_filter
from shared.models.vector import Vector
from tests.contract.conftest import as_read
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
    proxy: LossyProxy, lossy: ReportRepository, reports: ReportRepository, alice: str
) -> None:
    """Of a report that has been there for long: a new one may have been made in place of the one that a try changed."""
    report = reports.create_report(DBReport(user_id=alice, title="0", created_at="2026-01-01T00:00:00Z"))
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


MODEL = "model-1"


def embedding(owner: str, *components: float, product_id: str = "p", **fields: Any) -> DBProductEmbedding:
    vector = Vector.of(components or (1.0, 2.0))
    return DBProductEmbedding(
        user_id=owner, product_id=product_id, model_version=MODEL, embedding_vector=vector, **fields
    )


def attempted(call: Callable[[], object]) -> str:
    """The name of the error that the call raises, or "done"."""
    try:
        call()
    except ApiError as error:
        return type(error).__name__
    return "done"


class TestEmbeddings:
    @pytest.fixture
    def lossy_manager(self, engine: Engine, proxy: LossyProxy) -> DatabaseManager:
        return engine.manager(proxy.endpoint)

    @pytest.fixture
    def through(
        self, lossy_manager: DatabaseManager, models: ModelVersionRepository, alice: str
    ) -> EmbeddingRepository:
        """Embeddings through the proxy, where the dimension is known; `embeddings` goes to the engine directly."""
        models.declare(alice, MODEL, 2)
        repository = EmbeddingRepository(lossy_manager)
        assert ModelVersionRepository(lossy_manager).dimension_of(alice, MODEL) == 2
        return repository

    @pytest.mark.parametrize("losses", [1, 2])
    def test_a_store_of_a_new_one_happens_once(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str, losses: int
    ) -> None:
        proxy.lose("UpdateItem", times=losses)
        stored = through.store_embedding(embedding(alice, 3, 4, product={"a": 1}))
        assert proxy.fired == losses
        assert (stored.version, stored.is_new, stored.embedding_vector.tolist()) == (1, True, [3, 4])
        assert embeddings.get_embedding("p", alice, MODEL) == as_read(stored)

    @pytest.mark.parametrize("versions", [None, [1]])
    def test_a_replacement_happens_once(
        self,
        proxy: LossyProxy,
        through: EmbeddingRepository,
        embeddings: EmbeddingRepository,
        alice: str,
        versions: list[int] | None,
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        proxy.lose("UpdateItem", times=2)
        stored = through.store_embedding(embedding(alice, 3, 4), Terms(versions=versions))
        assert proxy.fired == 2
        assert (stored.version, stored.is_new, stored.embedding_vector.tolist()) == (2, False, [3, 4])
        assert embeddings.get_embedding("p", alice, MODEL) == stored

    def test_a_store_over_a_tombstone_happens_once(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        embeddings.delete_embedding("p", alice, MODEL)
        proxy.lose("UpdateItem", times=2)
        stored = through.store_embedding(embedding(alice, 3, 4))
        assert proxy.fired == 2
        assert (stored.version, stored.is_new) == (3, True)
        assert embeddings.get_embedding("p", alice, MODEL) == as_read(stored)

    @pytest.mark.parametrize("losses", [1, 2])
    def test_a_patch_happens_once(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str, losses: int
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        proxy.lose("UpdateItem", times=losses)
        changed = through.update_product("p", alice, MODEL, {"n": 1}, Terms(versions=[1]))
        assert proxy.fired == losses
        assert (changed.version, changed.product) == (2, {"n": 1})
        assert embeddings.get_embedding("p", alice, MODEL) == changed

    @pytest.mark.parametrize("versions", [None, [1]])
    def test_a_delete_happens_once_and_is_a_success(
        self,
        proxy: LossyProxy,
        through: EmbeddingRepository,
        embeddings: EmbeddingRepository,
        alice: str,
        versions: list[int] | None,
    ) -> None:
        """Unlike that of a report, also where it names a version: the tombstone says whose it is."""
        embeddings.store_embedding(embedding(alice))
        proxy.lose("UpdateItem", times=2)
        through.delete_embedding("p", alice, MODEL, Terms(versions=versions))
        assert proxy.fired == 2
        with pytest.raises(NotFound):
            embeddings.get_embedding("p", alice, MODEL)
        assert embeddings.store_embedding(embedding(alice)).version == 3

    def test_a_retried_store_does_not_undo_another(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        proxy.lose("UpdateItem", between=lambda: embeddings.store_embedding(embedding(alice, 7, 8)))
        through.store_embedding(embedding(alice, 3, 4))
        assert proxy.fired == 1
        now_there = embeddings.get_embedding("p", alice, MODEL)
        assert (now_there.version, now_there.embedding_vector.tolist()) == (2, [7, 8])

    def test_a_store_that_was_deleted_before_its_retry_stays_deleted(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        """A naive retry would bring the product back. It was stored all the same, and that is what is answered."""
        proxy.lose("UpdateItem", between=lambda: embeddings.delete_embedding("p", alice, MODEL))
        stored = through.store_embedding(embedding(alice, 3, 4, product={"a": 1}))
        assert proxy.fired == 1
        assert (stored.is_new, stored.product, stored.embedding_vector.tolist()) == (True, {"a": 1}, [3, 4])
        with pytest.raises(NotFound):
            embeddings.get_embedding("p", alice, MODEL)

    def test_a_retried_patch_does_not_undo_another(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        proxy.lose("UpdateItem", between=lambda: embeddings.update_product("p", alice, MODEL, {"theirs": 1}))
        assert through.update_product("p", alice, MODEL, {"mine": 1}).product == {"theirs": 1}
        assert proxy.fired == 1
        assert embeddings.get_embedding("p", alice, MODEL).version == 3

    def test_a_patch_of_what_was_deleted_before_its_retry_is_unknown(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        """It was made, but there is no row to answer it with."""
        embeddings.store_embedding(embedding(alice))
        proxy.lose("UpdateItem", between=lambda: embeddings.delete_embedding("p", alice, MODEL))
        with pytest.raises(OutcomeUnknown):
            through.update_product("p", alice, MODEL, {"mine": 1})
        assert proxy.fired == 1

    def test_a_retried_delete_does_not_undo_a_store(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        proxy.lose("UpdateItem", between=lambda: embeddings.store_embedding(embedding(alice, 7, 8)))
        through.delete_embedding("p", alice, MODEL)
        assert proxy.fired == 1
        assert embeddings.get_embedding("p", alice, MODEL).embedding_vector.tolist() == [7, 8]

    @pytest.mark.parametrize("operation", ["store", "patch", "delete"])
    @pytest.mark.parametrize(("writes", "outcome"), [(3, "done"), (4, "OutcomeUnknown")])
    def test_what_the_register_has_lost_is_unknown(
        self,
        proxy: LossyProxy,
        through: EmbeddingRepository,
        embeddings: EmbeddingRepository,
        alice: str,
        operation: str,
        writes: int,
        outcome: str,
    ) -> None:
        def write_meanwhile() -> None:
            for number in range(writes):
                embeddings.store_embedding(embedding(alice, 7, number))

        embeddings.store_embedding(embedding(alice))
        calls: dict[str, Callable[[], object]] = {
            "store": lambda: through.store_embedding(embedding(alice, 3, 4)),
            "patch": lambda: through.update_product("p", alice, MODEL, {"mine": 1}),
            "delete": lambda: through.delete_embedding("p", alice, MODEL),
        }
        proxy.lose("UpdateItem", between=write_meanwhile)
        assert attempted(calls[operation]) == outcome
        assert proxy.fired == 1
        found = embeddings.get_embedding("p", alice, MODEL)
        assert (found.version, found.embedding_vector.tolist()) == (writes + 2, [7, writes - 1])

    def test_what_every_try_of_is_lost_is_unknown_and_a_keyed_repeat_tells(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        terms = Terms(WriteId(fingerprint="f" * 32))
        proxy.lose("UpdateItem", times=3)
        with pytest.raises(OutcomeUnknown):
            through.store_embedding(embedding(alice, 3, 4), terms)
        assert proxy.fired == 3
        stored = embeddings.get_embedding("p", alice, MODEL)
        assert stored.version == 1
        repeated = through.store_embedding(embedding(alice, 3, 4), terms)
        assert (as_read(repeated), repeated.is_new) == (stored, True)

    def test_a_lost_refusal_stays_a_refusal(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        embeddings.store_embedding(embedding(alice))
        stored = embeddings.store_embedding(embedding(alice))
        stale = Terms(versions=[1])
        for call in (
            lambda: through.store_embedding(embedding(alice, 3, 4), stale),
            lambda: through.update_product("p", alice, MODEL, {"n": 1}, stale),
            lambda: through.delete_embedding("p", alice, MODEL, stale),
        ):
            proxy.lose("UpdateItem")
            assert attempted(call) == "PreconditionFailed"
            assert proxy.fired == 1
        assert embeddings.get_embedding("p", alice, MODEL) == stored

    def test_no_try_is_sent_later_than_a_reader_of_the_index_looks_back(
        self,
        proxy: LossyProxy,
        through: EmbeddingRepository,
        embeddings: EmbeddingRepository,
        alice: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The first try was applied, so that the outcome is unknown; nothing is sent again."""
        monkeypatch.setattr("shared.database.embeddings.SEND_WITHIN_SECONDS", 0.8)
        proxy.lose("UpdateItem", between=lambda: time.sleep(0.9))
        proxy.requests.clear()
        with pytest.raises(OutcomeUnknown):
            through.store_embedding(embedding(alice, 3, 4))
        assert proxy.requests == ["UpdateItem"]
        assert embeddings.get_embedding("p", alice, MODEL).version == 1

    def test_a_first_try_that_comes_too_late_is_not_sent(
        self,
        proxy: LossyProxy,
        through: EmbeddingRepository,
        alice: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("shared.database.embeddings.SEND_WITHIN_SECONDS", -1.0)
        proxy.requests.clear()
        with pytest.raises(Unavailable) as refused:
            through.store_embedding(embedding(alice, 3, 4))
        assert not isinstance(refused.value, OutcomeUnknown)
        assert proxy.requests == []

    def test_a_batch_whose_answers_get_lost_happens_once(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        proxy.lose("UpdateItem", times=5)
        outcomes = through.store_embeddings([embedding(alice, 1, n + 1, product_id=f"p{n}") for n in range(10)])
        assert proxy.fired == 5
        stored = {row.product_id: row for row in outcomes if isinstance(row, DBProductEmbedding)}
        found = {row.product_id: row for row in embeddings.get_embeddings_by_model(alice, MODEL)}
        assert {row.version for row in found.values()} == {1}
        assert stored
        assert all(row.is_new for row in stored.values())
        assert {product_id: as_read(row) for product_id, row in stored.items()}.items() <= found.items()

    def test_a_deletion_step_whose_answers_get_lost_deletes_once(
        self, proxy: LossyProxy, through: EmbeddingRepository, embeddings: EmbeddingRepository, alice: str
    ) -> None:
        for number in range(3):
            embeddings.store_embedding(embedding(alice, product_id=f"p{number}"))
        proxy.lose("UpdateItem", times=2)
        step = delete_step(through, alice, MODEL, parse_filter({}))
        assert proxy.fired == 2
        assert (step.examined, step.matched, step.deleted, step.continuation) == (3, 3, 3, None)
        assert list(embeddings.get_embeddings_by_model(alice, MODEL)) == []

    def test_a_dimension_is_fixed_once(
        self, proxy: LossyProxy, lossy_manager: DatabaseManager, users: UserRepository, alice: str
    ) -> None:
        """Of the owner's row and of the entry in it: each answer is lost once, and each is there once."""
        models = ModelVersionRepository(lossy_manager)
        proxy.lose("PutItem")
        models.declare(alice, MODEL, 2, DBUser(user_id=alice, name="Alice"))
        assert proxy.fired == 1
        proxy.lose("UpdateItem", times=2)
        models.declare(alice, "model-2", 3)
        assert proxy.fired == 2
        assert ModelVersionRepository(lossy_manager).list_model_versions(alice) == {MODEL: 2, "model-2": 3}
        assert users.get_user(alice).version == 1
