"""The routes about a whole account, the worker behind them, and what has it go on."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from handlers import resume
from handlers.worker import OutOfTime, handler
from shared import tasks
from shared.account.account_exports import ExportStore
from shared.account.erasures import ErasureStore
from shared.account.places import account_digest, erasure_key, pending_erasure_key
from shared.account.resuming import due_tasks
from shared.database import DatabaseManager
from shared.errors import TooManyRequests, Unavailable
from shared.models.fields import now, parse_timestamp, timestamp
from shared.similarity.objects import ObjectStore, default_objects
from shared.tasks import wait_for_local_tasks
from tests.conftest import ALICE, BOB
from tests.support.accounts import Clock, every_version, keys_of, opened, settle_in, versioned
from tests.support.api import Api
from tests.support.cases import every_row, rows_of
from tests.support.faults import answering_as_s3, faulty, recorded
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.support.problems import assert_problem
from tests.support.tokens import TokenFactory


@pytest.fixture
def objects(manager: DatabaseManager) -> ObjectStore:
    return versioned(default_objects())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The tasks that are asked for, which nobody does."""
    found: list[Any] = []
    for module in ("handlers.users.accounts", "handlers.resume"):
        monkeypatch.setattr(f"{module}.request_task", found.append)
    return found


class TestErasure:
    def test_an_account_that_was_never_erased(self, alice: Api) -> None:
        answer = alice.get("/user/erasure")
        assert answer.json() == {
            "state": "absent",
            "requested_at": None,
            "final_pass_at": None,
            "finished_at": None,
            "reports": 0,
            "embeddings": 0,
            "objects": 0,
        }

    def test_it_begins_at_once(self, manager: DatabaseManager, objects: ObjectStore, alice: Api, bob: Api) -> None:
        bob.get("/user/profile")
        settle_in(manager, objects, ALICE)
        answer = alice.delete("/user")
        assert (answer.status, answer.headers["Location"]) == (202, "/user/erasure")
        assert wait_for_local_tasks(20)
        state = alice.get("/user/erasure").json()
        assert (state["state"], state["reports"], state["embeddings"], state["objects"]) == ("waiting", 2, 4, 5)
        waits = parse_timestamp(state["final_pass_at"]) - parse_timestamp(state["requested_at"])
        assert waits == timedelta(minutes=1442)
        assert alice.get("/reports").json()["reports"] == []
        assert alice.get("/embeddings/models").json() == {"models": []}
        assert keys_of(objects, ALICE) == []
        assert len(rows_of(manager, BOB)) == 1

    def test_whoever_asks_again_joins(self, alice: Api, asked: list[Any]) -> None:
        first = alice.delete("/user").json()
        assert alice.delete("/user").json() == first
        assert asked[0] == asked[1]
        assert len(list(default_objects().list("pending/"))) == 1

    def test_one_that_is_at_work_is_not_asked_for(self, objects: ObjectStore, alice: Api, asked: list[Any]) -> None:
        alice.delete("/user")
        store = ErasureStore.of_user(objects, ALICE)
        assert store.claim(asked[0]["erasure_id"])
        assert alice.delete("/user").json()["state"] == "running"
        assert len(asked) == 1

    def test_of_two_requests_at_once_one_wins(
        self, objects: ObjectStore, alice: Api, asked: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        put = objects.put
        inner: list[Any] = []

        def meanwhile(key: str, body: bytes, **condition: Any) -> str:
            if key.startswith("erasures/") and not inner:
                inner.append(None)
                inner.append(alice.delete("/user").json())
            return put(key, body, **condition)

        monkeypatch.setattr(objects, "put", meanwhile)
        assert alice.delete("/user").json() == inner[1]
        assert asked[0] == asked[1]

    def test_many_who_never_stop_asking(
        self, objects: ObjectStore, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = ErasureStore.of_user(objects, ALICE)
        store.request(ALICE, timedelta())
        monkeypatch.setattr(store._object, "replace", lambda status, etag: None)
        status = store.status()
        assert status
        assert store.claim(status.id) is None
        objects.put(erasure_key(store.account), status.done(now()).to_bytes())
        with pytest.raises(Unavailable):
            store.request(ALICE, timedelta())

    def test_a_worker_that_cannot_be_asked_is_no_failure(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch, logged: Logged
    ) -> None:
        """What was put down is begun by whoever looks for it."""

        def refuse(task: Any) -> None:
            raise TooManyRequests

        monkeypatch.setattr("handlers.users.accounts.request_task", refuse)
        assert alice.delete("/user").status == 202
        assert alice.post("/user/export").status == 202
        warned = [(line["task"], line["exception"]) for line in logged.records() if "task" in line]
        assert warned == [("erase", "TooManyRequests"), ("export", "TooManyRequests")]
        assert {due.task["task"] for due in due_tasks(default_objects(), now())} == {"erase", "export"}

    def test_other_routes_go_on_meanwhile_without_a_further_call(self, manager: DatabaseManager, alice: Api) -> None:
        alice.delete("/user")
        assert wait_for_local_tasks(20)
        with recorded(manager, default_objects()) as calls:
            assert alice.post("/reports", {"title": "T", "author": "A"}).status == 201
        assert calls == ["PutItem"]

    @pytest.mark.parametrize("path", ["/user/erasure", "/user/export"])
    def test_the_shared_catalogues_owner_is_nobody(
        self, manager: DatabaseManager, path: str, tokens: TokenFactory
    ) -> None:
        shared = Api.as_user("shared", tokens, groups=["k9-admins"])
        for answer in (shared.get(path), shared.delete("/user"), shared.post("/user/export")):
            assert_problem(answer, 403, "forbidden")
        assert list(default_objects().list("")) == []

    def test_an_admin_erases_their_own_account_alone(
        self, manager: DatabaseManager, objects: ObjectStore, tokens: TokenFactory
    ) -> None:
        settle_in(manager, objects, "shared")
        before = every_row(manager)
        Api.as_user(ALICE, tokens, groups=["k9-admins"]).delete("/user")
        assert wait_for_local_tasks(20)
        assert every_row(manager) == before


class TestExport:
    def test_an_account_that_was_never_copied(self, alice: Api) -> None:
        answer = alice.get("/user/export").json()
        assert (answer["state"], answer["url"], answer["bytes"]) == ("absent", None, None)

    def test_it_is_made_and_can_be_had(self, manager: DatabaseManager, objects: ObjectStore, alice: Api) -> None:
        settle_in(manager, objects, ALICE)
        answer = alice.post("/user/export")
        assert (answer.status, answer.headers["Location"]) == (202, "/user/export")
        assert answer.json()["url"] is None
        assert wait_for_local_tasks(20)
        done = alice.get("/user/export").json()
        assert (done["state"], done["reports"], done["embeddings"], done["error"]) == ("done", 2, 4, None)
        assert parse_timestamp(done["kept_until"]) - parse_timestamp(done["requested_at"]) == timedelta(days=1)
        assert done["url"] != alice.get("/user/export").json()["url"] or done["expires_at"]
        status = ExportStore(objects, ALICE).status()
        assert status
        stored = objects.get(ExportStore(objects, ALICE).file_key(status.id))
        assert stored
        assert len(stored.body) == done["bytes"]
        assert len(opened(stored.body)["reports-00001.ndjson"]) == 2

    def test_the_address_is_never_logged(self, alice: Api, logged: Logged) -> None:
        alice.post("/user/export")
        assert wait_for_local_tasks(20)
        alice.get("/user/export")
        assert "X-Amz" not in logged.text

    def test_one_that_failed_says_so(self, objects: ObjectStore, alice: Api, asked: list[Any]) -> None:
        alice.post("/user/export")
        store = ExportStore(objects, ALICE)
        claim = store.claim(asked[0]["export_id"])
        assert claim
        claim.advance(claim.status.failed("Why.", now()))
        answer = alice.get("/user/export").json()
        assert (answer["state"], answer["error"], answer["kept_until"]) == ("failed", "Why.", None)

    def test_an_id_that_no_key_can_hold(self, manager: DatabaseManager, tokens: TokenFactory) -> None:
        api = Api.as_user("..", tokens)
        assert_problem(api.post("/user/export"), 403, "forbidden")
        assert_problem(api.get("/user/export"), 403, "forbidden")


class TestWorker:
    def test_it_stops_in_time_and_leaves_the_rest(
        self, manager: DatabaseManager, objects: ObjectStore, alice: Api, asked: list[Any], logged: Logged
    ) -> None:
        settle_in(manager, objects, ALICE)
        alice.delete("/user")
        alice.post("/user/export")

        class Ended:
            def get_remaining_time_in_millis(self) -> int:
                return 1_000

        for task in asked:
            handler(task, Ended())
        gave_up = [(line["task"], line["exception"]) for line in logged.records() if "exception" in line]
        assert gave_up == [("erase", OutOfTime.__name__), ("export", OutOfTime.__name__)]
        assert alice.get("/user/erasure").json()["state"] == "queued"
        assert alice.get("/user/export").json()["state"] == "queued"

    def test_a_claim_that_was_lost_is_no_error(
        self, objects: ObjectStore, alice: Api, asked: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alice.post("/user/export")
        monkeypatch.setattr(ExportStore, "advance", lambda *_: (_ for _ in ()).throw(_claim_lost()))
        handler(asked[0])


def _claim_lost() -> Exception:
    from shared.account.status_object import ClaimLost

    return ClaimLost()


class TestResume:
    def test_there_is_nothing_to_go_on_with(self, manager: DatabaseManager, asked: list[Any]) -> None:
        resume.handler({})
        assert asked == []

    def test_what_was_asked_for_and_never_begun(self, alice: Api, asked: list[Any]) -> None:
        alice.delete("/user")
        alice.post("/user/export")
        wanted, asked[:] = list(asked), []
        resume.handler({})
        assert asked == wanted

    def test_what_a_worker_has_is_left_to_it_until_it_must_be_gone(
        self, objects: ObjectStore, alice: Api, asked: list[Any]
    ) -> None:
        alice.delete("/user")
        alice.post("/user/export")
        erasure, export = asked
        assert ErasureStore.of_user(objects, ALICE).claim(erasure["erasure_id"])
        assert ExportStore(objects, ALICE).claim(export["export_id"])
        clock = Clock()
        assert list(due_tasks(objects, clock())) == []
        clock.pass_time(minutes=17)
        assert [due.task for due in due_tasks(objects, clock())] == asked

    def test_what_is_done_is_tidied_up_after(
        self, objects: ObjectStore, alice: Api, asked: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker ended between the last step and that."""
        alice.delete("/user")
        alice.post("/user/export")
        erasure, export = list(asked)
        assert ErasureStore.of_user(objects, ALICE).claim(erasure["erasure_id"])
        with monkeypatch.context() as patch:
            patch.setattr(ExportStore, "tidy", lambda *_: None)
            handler(export)
        key = erasure_key(account_digest(ALICE))
        status = ErasureStore.of_user(objects, ALICE).status()
        assert status
        objects.put(key, status.done(now()).to_bytes())
        asked.clear()
        resume.handler({})
        assert asked == [erasure, export]
        for task in asked:
            handler(task)
        assert every_version(objects, "pending/") == []
        assert len(every_version(objects, "erasures/")) == 1
        asked.clear()
        resume.handler({})
        assert asked == []

    def test_a_marker_of_nothing_goes_after_a_while(self, objects: ObjectStore, asked: list[Any]) -> None:
        objects.put(pending_erasure_key(account_digest(ALICE), "never"), b"")
        objects.put(f"pending/exports/{ALICE}/never", b"")
        clock = Clock()
        assert list(due_tasks(objects, clock())) == []
        clock.pass_time(minutes=61)
        for due in list(due_tasks(objects, clock())):
            handler(due.task)
        assert every_version(objects, "") == []

    def test_one_whose_status_cannot_be_read_is_kept_for_somebody_to_see_to(
        self, objects: ObjectStore, alice: Api, asked: list[Any], logged: Logged
    ) -> None:
        alice.delete("/user")
        objects.put(erasure_key(account_digest(ALICE)), b"{}")
        clock = Clock()
        clock.pass_time(minutes=61)
        for due in list(due_tasks(objects, clock())):
            handler(due.task)
        assert len(every_version(objects, "pending/")) == 1
        assert {line["message"] for line in logged.records()} >= {"status_corrupt"}
        assert [due.is_late for due in due_tasks(objects, clock())] == [False]
        clock.pass_time(hours=3)
        assert [due.is_late for due in due_tasks(objects, clock())] == [True]  # or nobody would see to it

    @pytest.mark.parametrize("stage", ["bury", "clear"])
    def test_an_erasure_that_is_late_is_told(
        self, objects: ObjectStore, alice: Api, asked: list[Any], logged: Logged, stage: Any
    ) -> None:
        alice.delete("/user")
        store = ErasureStore.of_user(objects, ALICE)
        status = store.status()
        assert status
        if stage == "clear":
            objects.put(erasure_key(store.account), status.waiting(stage, now()).to_bytes())
        clock = Clock()
        for hours, late in ((2, False), (30, True)):
            clock.pass_time(hours=hours)
            assert [due.is_late for due in due_tasks(objects, clock())] == [late]

    def test_the_number_of_late_ones_is_logged(
        self, objects: ObjectStore, alice: Api, asked: list[Any], logged: Logged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alice.delete("/user")
        monkeypatch.setattr("handlers.resume.now", lambda: timestamp(parse_timestamp(now()) + timedelta(days=3)))
        resume.handler({})
        assert logged.records()[-1]["late_erasures"] == 1

    def test_one_that_cannot_be_asked_for_keeps_no_other_from_it(
        self, alice: Api, asked: list[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alice.delete("/user")
        alice.post("/user/export")
        tried: list[str] = []

        def refuse(task: Any) -> None:
            tried.append(task["task"])
            raise Unavailable("The worker does not answer.")

        monkeypatch.setattr("handlers.resume.request_task", refuse)
        with pytest.raises(Unavailable):
            resume.handler({})
        assert tried == ["erase", "export"]

    def test_a_store_that_does_not_answer(self, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        with faulty(objects, answering_as_s3(500, "InternalError")), pytest.raises(Unavailable):
            resume.handler({})


@pytest.fixture(autouse=True)
def no_worker_left(manager: DatabaseManager) -> Iterator[None]:
    yield
    assert tasks.wait_for_local_tasks(20)
