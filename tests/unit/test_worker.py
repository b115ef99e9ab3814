"""The worker: each task may come twice, be cut off by the end of the function, or fail; what is read stays right."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handlers import worker
from handlers.worker import OutOfTime
from shared import tasks
from shared.database.embeddings import EmbeddingRepository
from shared.database.manager import DatabaseManager
from shared.errors import TooManyRequests, Unavailable
from shared.models.embedding import DBProductEmbedding
from shared.models.fields import now
from shared.models.vector import Vector
from shared.similarity import jobs
from shared.similarity.builder import SnapshotBuilder
from shared.similarity.lease import Lease, take_lease
from shared.similarity.manifest import Manifest
from shared.similarity.matrix import Claim, MatrixStore
from shared.similarity.objects import ObjectStore, default_objects
from shared.similarity.snapshot import SnapshotStore
from tests.support.api import Api
from tests.support.logs import Logged
from tests.support.logs import logged as logged

OWNER, MODEL = "alice", "v1"
SNAPSHOT = {"task": "snapshot", "owner": OWNER, "model_version": MODEL}
PLENTY_MILLISECONDS = 900_000
LONG = timedelta(days=1)


class Killed(BaseException):
    """The process is gone."""


class Context:
    """A function's context whose time is up after so many looks at it."""

    def __init__(self, looks: int) -> None:
        self.looks = looks

    def get_remaining_time_in_millis(self) -> int:
        self.looks -= 1
        return PLENTY_MILLISECONDS if self.looks >= 0 else 1_000


@pytest.fixture
def products(manager: DatabaseManager) -> list[str]:
    ids = [f"p{number}" for number in range(12)]
    store(*ids)
    return ids


def store(*product_ids: str) -> None:
    for product_id in product_ids:
        vector = Vector.of([1, len(product_id), sum(map(ord, product_id)) % 11])
        row = DBProductEmbedding(
            product_id=product_id, user_id=OWNER, model_version=MODEL, embedding_vector=vector, product={}
        )
        EmbeddingRepository.store_embedding(row)


def snapshots() -> SnapshotStore:
    return SnapshotStore(default_objects(), OWNER, MODEL)


def live(manifest: Manifest | None) -> set[str]:
    assert manifest
    found = set()
    for ref in manifest.segments:
        dead = ref.dead_rows
        ids = snapshots().segment(ref).ids
        found |= {product_id for row, product_id in enumerate(ids) if dead is None or not dead[row]}
    return found


def matrices() -> MatrixStore:
    return MatrixStore(default_objects(), OWNER, MODEL)


def matrix_task(k: int = 2) -> dict[str, Any]:
    status, is_new = matrices().request_build(k)
    assert is_new
    return {"task": "matrix", "owner": OWNER, "model_version": MODEL, "build_id": status.build_id}


def neighbours(product_id: str) -> list[str] | None:
    row = matrices().read_row(product_id)
    return None if row is None else [neighbour.product_id for neighbour in row.neighbours]


class TestSnapshot:
    def test_it_holds_every_product(self, products: list[str]) -> None:
        worker.handler(SNAPSHOT)
        assert live(snapshots().read()) == set(products)

    def test_that_of_an_account_that_was_erased_is_no_failure(self, products: list[str], logged: Logged) -> None:
        """Else Lambda would keep it, with the owner's id, among the failures."""
        for task in ({**SNAPSHOT, "owner": "nobody"}, {**SNAPSHOT, "model_version": "gone", "full": True}):
            worker.handler(task)
        assert [line["exception"] for line in logged.records()] == ["NoSuchModelVersion"] * 2
        assert list(default_objects().list("similarity/nobody/")) == []

    @pytest.mark.parametrize("full", [False, True])
    def test_it_may_come_twice(self, products: list[str], full: bool) -> None:
        worker.handler({**SNAPSHOT, "full": full})
        EmbeddingRepository.delete_embedding("p3", OWNER, MODEL)
        store("new")
        for _ in range(2):
            worker.handler({**SNAPSHOT, "full": full}, Context(looks=100))
            assert live(snapshots().read()) == {*products, "new"} - {"p3"}

    def test_only_a_full_one_reads_the_whole_table_again(self, products: list[str]) -> None:
        worker.handler(SNAPSHOT)
        first = snapshots().read()
        worker.handler(SNAPSHOT)
        second = snapshots().read()
        worker.handler({**SNAPSHOT, "full": True})
        third = snapshots().read()
        assert first
        assert second
        assert third
        assert first.complete_at == second.complete_at < third.complete_at
        assert first.watermark < second.watermark < third.watermark

    def test_one_that_is_cut_off_leaves_the_one_before_and_is_no_error(
        self, products: list[str], logged: Logged
    ) -> None:
        worker.handler(SNAPSHOT)
        before = snapshots().read()
        store("new")
        looks = 0
        while snapshots().read() == before:
            worker.handler({**SNAPSHOT, "full": True}, Context(looks))
            looks += 1
        assert looks >= 3
        records = logged.records()
        assert [(record["task"], record["exception"]) for record in records] == [("snapshot", "OutOfTime")] * (
            looks - 1
        )
        assert live(snapshots().read()) == {*products, "new"}

    def test_one_that_was_made_since_it_was_asked_for_will_do(self, products: list[str]) -> None:
        task = {**SNAPSHOT, "asked_at": now()}
        worker.handler(task)
        first = snapshots().read()
        assert live(first) == set(products)
        worker.handler(task)
        assert snapshots().read() == first
        worker.handler({**SNAPSHOT, "asked_at": now()})
        assert snapshots().read() != first

    def test_where_the_process_is_gone_a_repeat_makes_it_after_a_minute(
        self, products: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(EmbeddingRepository, "changes_since", raising(Killed()))
            patch.setattr(Lease, "release", lambda self: None)
            with pytest.raises(Killed):
                worker.handler(SNAPSHOT)
        worker.handler(SNAPSHOT)  # the first might still be at it
        assert snapshots().read() is None
        later = datetime.now(UTC) + timedelta(seconds=61)
        monkeypatch.setattr(jobs, "take_lease", partial(take_lease, clock=lambda: later))
        worker.handler(SNAPSHOT)
        assert live(snapshots().read()) == set(products)

    def test_a_sweep_that_fails_does_not_undo_it(
        self, products: list[str], logged: Logged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(SnapshotStore, "sweep", raising(Unavailable("S3 does not answer")))
        worker.handler(SNAPSHOT)
        assert live(snapshots().read()) == set(products)
        assert [record["level"] for record in logged.records()] == ["WARNING"]


class TestMatrix:
    def test_it_holds_the_neighbours_of_every_product(self, products: list[str]) -> None:
        worker.handler(matrix_task())
        status = matrices().status()
        assert (status.state, status.rows, status.rows_done) == ("done", len(products), len(products))
        for product_id in products:
            found = neighbours(product_id)
            assert found is not None
            assert len(set(found) - {product_id}) == 2

    def test_it_may_come_twice(self, products: list[str]) -> None:
        task = matrix_task()
        worker.handler(task, Context(looks=1000))
        done = matrices().status()
        worker.handler(task, Context(looks=1000))
        assert matrices().status() == done

    def test_it_is_of_what_is_stored_when_it_is_built(self, products: list[str]) -> None:
        worker.handler(SNAPSHOT)
        EmbeddingRepository.delete_embedding("p3", OWNER, MODEL)
        store("new")
        worker.handler(matrix_task())
        assert neighbours("p3") is None
        assert neighbours("new") is not None
        assert all("p3" not in (neighbours(product_id) or []) for product_id in products)

    def test_a_build_whose_place_another_has_taken_is_left_out(self, products: list[str]) -> None:
        task = matrix_task()
        worker.handler({**task, "build_id": "00000000-0000-4000-8000-000000000000"})
        assert matrices().status().state == "queued"
        worker.handler(task)
        assert matrices().status().state == "done"

    def test_one_that_runs_out_of_time_says_so_and_can_be_asked_for_again(
        self, products: list[str], logged: Logged
    ) -> None:
        worker.handler(matrix_task())
        before = neighbours("p1")
        for looks in range(4):
            task = matrix_task()
            worker.handler(task, Context(looks))
            status = matrices().status()
            assert (status.state, status.error) == ("failed", OutOfTime().detail)
            assert [record["exception"] for record in logged.records()] == ["OutOfTime"] * (looks + 1)
            worker.handler(task)
            assert matrices().status() == status
            assert neighbours("p1") == before
        worker.handler(matrix_task())
        assert matrices().status().state == "done"

    def test_one_that_another_has_taken_over_ends_without_an_error(
        self, products: list[str], logged: Logged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.similarity.matrix.HEARTBEAT_SECONDS", 0.0)
        monkeypatch.setattr("shared.similarity.matrix_status.RUNNING_IS_STALE_AFTER", -LONG)
        task = matrix_task()
        build, rivals = jobs.build_snapshot, list[Claim | None]()

        def overtaken(*arguments: Any, **options: Any) -> Manifest | None:
            rivals.append(matrices().claim(task["build_id"]))
            return build(*arguments, **options)

        monkeypatch.setattr(jobs, "build_snapshot", overtaken)
        worker.handler(task)
        (record,) = logged.records()
        assert (record["level"], record["task"], record["exception"]) == ("WARNING", "matrix", "ClaimLost")
        (rival,) = rivals
        assert rival
        assert matrices().status() == rival.status

    def test_one_whose_process_is_gone_is_taken_up_by_a_repeat_after_a_while(
        self, products: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = matrix_task()
        with monkeypatch.context() as patch:
            patch.setattr(EmbeddingRepository, "changes_since", raising(Killed()))
            with pytest.raises(Killed):
                worker.handler(task)
        worker.handler(task)  # the first might still be at it
        assert matrices().status().state == "running"
        monkeypatch.setattr("shared.similarity.matrix_status.RUNNING_IS_STALE_AFTER", -LONG)
        worker.handler(task)
        assert matrices().status().state == "done"

    @pytest.mark.parametrize("error", [Unavailable("The table does not answer."), TooManyRequests()])
    def test_a_snapshot_that_cannot_be_made_is_told_in_the_status(
        self, products: list[str], monkeypatch: pytest.MonkeyPatch, error: Unavailable | TooManyRequests
    ) -> None:
        task = matrix_task()
        with monkeypatch.context() as patch:
            patch.setattr(EmbeddingRepository, "changes_since", raising(error))
            with pytest.raises(type(error)):
                worker.handler(task)
        status = matrices().status()
        assert (status.state, status.error) == ("failed", error.detail)
        worker.handler(task)
        assert matrices().status() == status
        worker.handler(matrix_task())
        assert matrices().status().state == "done"

    def test_where_another_snapshot_was_first_that_one_will_do(
        self, products: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        worker.handler(SNAPSHOT)
        monkeypatch.setattr(SnapshotBuilder, "build", lambda self, full: None)
        worker.handler(matrix_task())
        assert matrices().status().state == "done"

    def test_no_snapshot_at_all_is_a_failure(self, products: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(SnapshotBuilder, "build", lambda self, full: None)
        with pytest.raises(Unavailable):
            worker.handler(matrix_task())
        assert matrices().status().state == "failed"

    def test_a_segment_that_is_damaged_meanwhile_is_a_failure(
        self, products: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build = jobs.build_snapshot

        def damage(objects: ObjectStore, *arguments: Any, **options: Any) -> Manifest | None:
            manifest = build(objects, *arguments, **options)
            assert manifest
            objects.put(f"similarity/{OWNER}/{MODEL}/segments/{manifest.segments[0].name}", b"not a segment")
            return manifest

        monkeypatch.setattr(jobs, "build_snapshot", damage)
        with pytest.raises(ValueError, match="is not what"):
            worker.handler(matrix_task())
        status = matrices().status()
        assert status.state == "failed"
        assert status.error
        assert "segment" not in status.error

    def test_an_error_that_is_nobodys_business_leaves_it_to_be_taken_for_dead(
        self, products: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        denied = ClientError({"Error": {"Code": "AccessDenied"}}, "Query")
        monkeypatch.setattr(EmbeddingRepository, "changes_since", raising(denied))
        with pytest.raises(ClientError):
            worker.handler(matrix_task())
        assert matrices().status().state == "running"

    def test_it_gives_signs_of_life_while_its_snapshot_is_made(
        self, products: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.similarity.matrix.HEARTBEAT_SECONDS", 0.0)
        beats: list[str | None] = []
        build, beat = jobs.build_snapshot, Claim.beat

        def noted_beat(claim: Claim) -> None:
            beat(claim)
            beats.append(matrices().status().heartbeat_at)

        def noted_build(*arguments: Any, **options: Any) -> Manifest | None:
            manifest = build(*arguments, **options)
            beats.append(None)
            return manifest

        monkeypatch.setattr(Claim, "beat", noted_beat)
        monkeypatch.setattr(jobs, "build_snapshot", noted_build)
        worker.handler(matrix_task())
        during = beats[: beats.index(None)]
        assert len(during) >= 2
        assert during == sorted(set(map(str, during)))

    def test_of_a_model_version_whose_products_are_all_gone(self, products: list[str]) -> None:
        for product_id in products:
            EmbeddingRepository.delete_embedding(product_id, OWNER, MODEL)
        worker.handler(matrix_task())
        status = matrices().status()
        assert (status.state, status.rows) == ("done", 0)
        assert neighbours("p1") is None


@contextmanager
def losing_the_answer_to(operation: str) -> Iterator[None]:
    """S3 does what it is asked for, and of its answer only a part arrives."""

    def lose(parsed: dict[str, Any], **_: object) -> None:
        parsed.pop("ETag", None)

    events: Any = default_objects().client.meta.events
    events.register(f"after-call.s3.{operation}", lose)
    yield
    events.unregister(f"after-call.s3.{operation}", lose)


class TestAskingForAMatrix:
    @pytest.fixture(autouse=True)
    def stored(self, alice: Api) -> None:
        for number in range(4):
            product = {"product_id": f"p{number}", "model_version": MODEL, "embedding_vector": [1, number]}
            assert alice.post("/embeddings", product).status == 201

    def ask(self, api: Api, k: int = 2) -> int:
        return api.post("/embeddings/similarity", {"model_version": MODEL, "k": k}).status

    def state(self, api: Api) -> str:
        """How things stand when nobody is at work any more."""
        assert tasks.wait_for_local_tasks(20)
        return str(api.get("/embeddings/similarity", query={"model_version": MODEL}).json()["state"])

    def test_a_repeat_after_a_lost_answer_has_it_built(self, alice: Api) -> None:
        with losing_the_answer_to("PutObject"):
            assert self.ask(alice) == 503
        assert self.state(alice) == "queued"
        assert self.ask(alice, k=3) == 409
        assert self.state(alice) == "queued"
        assert self.ask(alice) == 202
        assert self.state(alice) == "done"

    def test_whoever_joins_one_that_nobody_has_begun_asks_for_it_again(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[dict[str, Any]] = []
        with monkeypatch.context() as patch:
            patch.setattr("handlers.embeddings.build_matrix.request_task", asked.append)
            assert [self.ask(alice) for _ in range(3)] == [202] * 3
        assert len(asked) == 3
        assert asked == asked[:1] * 3
        for task in asked:
            worker.handler(task)
            assert self.state(alice) == "done"

    def test_who_cannot_ask_does_not_take_back_what_another_asked_for(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[dict[str, Any]] = []
        with monkeypatch.context() as patch:
            patch.setattr("handlers.embeddings.build_matrix.request_task", asked.append)
            assert self.ask(alice) == 202
            patch.setattr("handlers.embeddings.build_matrix.request_task", raising(Unavailable("no worker")))
            assert self.ask(alice) == 503
        assert self.state(alice) == "queued"
        worker.handler(asked[0])
        assert self.state(alice) == "done"


class TestTasks:
    def test_a_task_that_there_is_not(self, manager: DatabaseManager) -> None:
        with pytest.raises(KeyError):
            worker.handler({"task": "other", "owner": OWNER, "model_version": MODEL})

    def test_what_a_task_does_not_have(self, manager: DatabaseManager) -> None:
        with pytest.raises(TypeError):
            worker.handler({**SNAPSHOT, "check": None, "objects": None, "other": 1})

    def test_a_local_task_that_fails_is_logged_without_its_message(
        self, manager: DatabaseManager, logged: Logged
    ) -> None:
        tasks.request_task({**SNAPSHOT, "task": "a secret"})
        assert tasks.wait_for_local_tasks(20)
        (record,) = logged.records()
        assert record["exception"] == ["KeyError"]
        assert "secret" not in logged.text

    def test_local_tasks_are_done(self, products: list[str]) -> None:
        tasks.request_task(SNAPSHOT)
        tasks.request_task(matrix_task())
        assert tasks.wait_for_local_tasks(20)
        assert live(snapshots().read()) == set(products)
        assert matrices().status().state == "done"


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> Any:
        raise error

    return fail
