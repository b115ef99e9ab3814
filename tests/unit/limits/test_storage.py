"""What a tenant stores is reserved before it is stored, given back where it was not, and counted anew when in doubt."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ReadTimeoutError
from moto.core.models import botocore_stubber

from handlers import worker
from shared.config import TenantLimits
from shared.database import DatabaseManager, EmbeddingRepository, ReportRepository, limit_counters
from shared.database.content import content_bytes
from shared.database.limit_counters import LimitCounters, Use, Used, window_at
from shared.errors import OutcomeUnknown, TooManyRequests, Unavailable
from shared.limits.admission import GIVE_BACK_WITHIN_SECONDS
from shared.limits.memory import process_memory
from shared.limits.recount import recount
from shared.models.fields import timestamp
from shared.scope import Growth
from shared.similarity.objects import default_objects
from shared.tasks import wait_for_local_tasks
from tests.conftest import ALICE, BOB
from tests.support.api import Answer, Api
from tests.support.cases import MODEL, VECTOR, embed, insert
from tests.support.faults import answering, faulty, raising, recorded
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.unit.limits.conftest import START, Clock, Limits
from tests.unit.limits.test_rates import item

STORED = ("rows", "bytes")
EMBEDDING = {"product_id": "p", "model_version": "m", "embedding_vector": VECTOR, "product": {"a": "b"}}
EMBEDDING_BYTES = len("p") + len("m") + 8 + len('{"a":"b"}')


def stored(manager: DatabaseManager, user_id: str = ALICE) -> tuple[int, int]:
    found = item(manager, user_id)
    return found.get("rows", 0), found.get("bytes", 0)


def title(length: int) -> dict[str, Any]:
    """A report whose content has so many bytes."""
    return {"title": "t" * (length - 1 - len("2026-01-01")), "author": "A", "date": "2026-01-01"}


class TestRows:
    def test_as_many_as_are_allowed(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=3)
        statuses = [alice.post("/reports", title(20)).status for _ in range(3)]
        with recorded(manager) as asked:
            refused = alice.post("/reports", title(20))
        assert (statuses, refused.status, "PutItem" in asked) == ([201] * 3, 429, False)
        assert stored(manager) == (3, 60)
        assert refused.headers["Retry-After"] == "120"
        assert refused.headers["RateLimit-Policy"] == '"rows";q=3'
        assert refused.headers["RateLimit"] == '"rows";r=0'
        problem = refused.json()
        assert problem["violated-policies"] == ["rows"]
        assert "An account may store 3 rows; 1 more do not fit beside the 3 that are counted." in problem["detail"]
        assert wait_for_local_tasks(20)

    def test_an_answer_tells_what_is_left(self, alice: Api, limits: Limits) -> None:
        limits(rows=3, bytes=100, writes=1)
        headers = alice.post("/reports", title(20)).headers
        assert headers["RateLimit"] == '"writes";r=9;t=7, "rows";r=2, "bytes";r=80'
        assert headers["RateLimit-Policy"] == ('"writes";q=10;w=10, "rows";q=3, "bytes";q=100;qu="content-bytes"')

    def test_reports_and_embeddings_count_together(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=2)
        assert alice.post("/reports", title(20)).status == 201
        assert alice.post("/embeddings", EMBEDDING).status == 201
        assert alice.post("/embeddings", {**EMBEDDING, "product_id": "q"}).status == 429
        assert stored(manager) == (2, 20 + EMBEDDING_BYTES)
        assert wait_for_local_tasks(20)

    def test_a_batch_is_stored_as_a_whole_or_not_at_all(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(rows=3)
        items = [{**EMBEDDING, "product_id": str(number)} for number in range(3)]
        assert alice.post("/embeddings/batch", {"items": [*items, {**EMBEDDING, "product_id": "q"}]}).status == 429
        assert alice.post("/embeddings/batch", {"items": [*items, {"product_id": "no vector"}]}).json()["stored"] == 3
        assert stored(manager) == (3, 3 * EMBEDDING_BYTES)

    def test_the_shared_catalogue_is_not_limited(
        self, manager: DatabaseManager, alice: Api, limits: Limits, tokens: Any
    ) -> None:
        limits(rows=1, bytes=10)
        admin = Api.as_user("33333333-3333-4333-8333-333333333333", tokens, **{"cognito:groups": ["k9-admins"]})
        items = [{**EMBEDDING, "product_id": str(number)} for number in range(2)]
        assert admin.post("/reports", {"title": "t", "author": "a", "date": "2026-01-01"}).status == 429, "bytes"
        limits(rows=1, bytes=20)
        assert admin.post("/reports", {"title": "t", "author": "a", "date": "2026-01-01"}).status == 201
        own = stored(manager, "33333333-3333-4333-8333-333333333333")
        answer = admin.post("/embeddings/batch", {"items": items, "catalogue": "shared"})
        assert answer.status == 200
        of_one = {"query": {"model_version": "m", "catalogue": "shared"}}
        assert admin.patch("/embeddings/1", {"product": {"name": "longer than the limit"}}, **of_one).status == 200
        assert admin.delete("/embeddings/1", **of_one).status == 204
        assert stored(manager, "33333333-3333-4333-8333-333333333333") == own == (1, 12)

    def test_a_refusal_comes_without_a_call_where_it_can_never_fit(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(bytes=15)
        with recorded(manager) as asked:
            refused = alice.post("/reports", title(20))
        assert (refused.status, asked) == (429, [])
        assert "An account may store 15 bytes; 20 more do not fit." in refused.json()["detail"]
        assert "RateLimit" not in refused.headers


class TestGivingBack:
    def test_a_repeat_stores_nothing_more(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=10)
        for _ in range(3):
            assert alice.post("/reports", title(20), headers={"idempotency-key": "k"}).status == 201
        for _ in range(3):
            assert alice.post("/embeddings", EMBEDDING, headers={"idempotency-key": "k"}).status == 201
        alice.post("/reports", title(30))
        assert stored(manager) == (3, 50 + EMBEDDING_BYTES)

    def test_what_was_refused_stored_nothing(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=10, bytes=10_000)
        assert alice.patch("/reports/none", {"title": "t"}).status == 404
        alice.post("/embeddings", EMBEDDING)
        assert alice.post("/embeddings", {**EMBEDDING, "embedding_vector": [1, 2, 3]}).status == 422
        alice.post("/reports", title(20))
        assert stored(manager) == (2, 20 + EMBEDDING_BYTES)

    def test_what_is_null_counts_for_nothing(self, alice: Api, limits: Limits) -> None:
        limits(bytes=20)
        assert alice.post("/reports", {**title(20), "reference": None}).status == 201

    def test_the_authors_name_counts_as_it_is(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(bytes=10_000)
        for _ in range(2):
            assert alice.post("/reports", {"title": "ü"}).status == 201
        length = len("ü".encode() + b"Alice Example" + b"2026-01-01")
        assert stored(manager) == (2, length + 2 + 800 + 10)
        alice.post("/reports", title(20))
        assert stored(manager) == (3, 2 * length + 20)

    def test_what_replaces_another_grows_by_its_metadata_at_most(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(rows=2, bytes=1000)
        assert count_anew(manager)
        for _ in range(5):
            assert alice.post("/embeddings", EMBEDDING).status in (200, 201)
        alice.post("/reports", title(20))
        assert stored(manager) == (2, EMBEDDING_BYTES + 4 * len('{"a":"b"}') + 20)

    def test_new_metadata_of_a_product_counts(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(bytes=EMBEDDING_BYTES + 20)
        assert alice.post("/embeddings", EMBEDDING).status == 201
        of_one = {"query": {"model_version": "m"}}
        assert alice.patch("/embeddings/p", {"product": {"a": "longer than what is left"}}, **of_one).status == 429
        assert alice.patch("/embeddings/p", {"product": {"a": "c"}}, **of_one).status == 200

    def test_a_change_grows_by_what_it_names(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(bytes=1000)
        path = alice.post("/reports", title(20)).headers["Location"]
        alice.patch(path, {"title": "12345", "reference": {"a": 1}})
        assert alice.patch(path, {"reference": None}).status == 200
        alice.put(f"{path}/favorites", {"favorites": ["ab", "c"]})
        alice.put(f"{path}/favorites", {"favorites": []})
        alice.put(f"{path}/favorites/p1")
        alice.put(f"{path}/favorites/p1")
        alice.post("/reports", title(20))
        assert stored(manager) == (2, 40 + 5 + len('{"a":1}') + 3 + 2)

    @pytest.mark.parametrize("also", [{}, {"writes": 50}], ids=["by a call of its own", "with the next call"])
    def test_what_is_deleted_is_given_back(
        self, manager: DatabaseManager, alice: Api, limits: Limits, also: Mapping[str, int]
    ) -> None:
        limits(rows=3, **also)
        assert count_anew(manager)
        path = alice.post("/reports", title(20)).headers["Location"]
        for product_id in ("p", "q"):
            alice.post("/embeddings", {**EMBEDDING, "product_id": product_id})
        with recorded(manager) as asked:
            alice.delete(path)
            alice.delete("/embeddings/p", query={"model_version": "m"})
            assert alice.post("/embeddings/delete", {"model_version": "m", "filter": {}}).json()["deleted"] == 1
            assert alice.delete(path).status == 404
        assert asked.count("UpdateItem") == (3 if not also else 4) + 2
        assert alice.post("/reports", title(20)).status == 201
        assert stored(manager) == (1, 20)

    def test_it_waits_for_the_next_call_however_long(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock
    ) -> None:
        limits(rows=3, writes=5)
        alice.post("/reports", title(20), headers={"idempotency-key": "k"})
        alice.post("/reports", title(20), headers={"idempotency-key": "k"})
        clock.moment += 3600
        alice.post("/reports", title(20))
        assert stored(manager) == (2, 40)

    def test_it_makes_room_for_the_call_that_takes_it_along(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock
    ) -> None:
        limits(rows=2, writes=5)
        assert count_anew(manager)
        for _ in range(2):
            alice.post("/reports", title(20), headers={"idempotency-key": "k"})
        assert stored(manager) == (2, 40)
        assert alice.post("/reports", title(20)).status == 201
        assert stored(manager) == (2, 40)

    @pytest.mark.parametrize("also", [{}, {"writes": 50}], ids=["by a call of its own", "with the next call"])
    def test_what_was_freed_before_the_rows_were_counted_anew_is_not_given_back(
        self, manager: DatabaseManager, alice: Api, limits: Limits, also: Mapping[str, int]
    ) -> None:
        limits(rows=9, **also)
        path = alice.post("/reports", title(20)).headers["Location"]
        for _ in range(2):
            alice.post("/reports", title(30), headers={"idempotency-key": "k"})
        assert count_anew(manager)
        with recorded(manager) as asked:
            assert (alice.delete(path).status, alice.post("/reports", title(20)).status) == (204, 201)
        assert stored(manager)[0] == 2, "the deletion is given back, what was not stored before is not"
        assert asked.count("UpdateItem") == 3
        alice.post("/reports", title(20))
        assert stored(manager)[0] == 3

    def test_what_a_request_that_saw_no_counters_deleted_is_given_back_at_once_or_never(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits(rows=9)
        paths = [alice.post("/reports", title(20)).headers["Location"] for _ in range(2)]
        process_memory.cache_clear()
        assert alice.delete(paths[0]).status == 204
        assert stored(manager) == (1, 20)
        process_memory.cache_clear()
        slow = iter([clock.moment, clock.moment + GIVE_BACK_WITHIN_SECONDS])
        monkeypatch.setattr(process_memory(), "clock", lambda: next(slow))
        with recorded(manager) as asked:
            assert alice.delete(paths[1]).status == 204
        assert (stored(manager), asked) == ((1, 20), ["DeleteItem"])

    def test_one_that_has_seen_them_may_take_its_time(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits(rows=9)
        path = alice.post("/reports", title(20)).headers["Location"]
        kept = [alice.post("/reports", title(20)).headers["Location"] for _ in range(2)]
        for recounted, then in ((False, (2, 40)), (True, (2, 40)), (False, (1, 20))):
            assert not recounted or count_anew(manager)
            slow = iter([clock.moment])
            late = clock.moment + GIVE_BACK_WITHIN_SECONDS
            monkeypatch.setattr(process_memory(), "clock", lambda slow=slow, late=late: next(slow, late))
            assert alice.delete(path).status == 204
            assert stored(manager) == then, "after a recount it may have been counted without"
            path = kept.pop() if kept else path

    def test_a_process_that_only_deletes_gives_back_after_each_recount(
        self, manager: DatabaseManager, alice: Api, limits: Limits, frozen: Callable[[timedelta], None]
    ) -> None:
        limits(rows=9)
        paths = [alice.post("/reports", title(20)).headers["Location"] for _ in range(4)]
        process_memory.cache_clear()
        for number, path in enumerate(paths):
            frozen(timedelta(hours=1))
            assert number % 2 or count_anew(manager)
            assert alice.delete(path).status == 204
            assert stored(manager)[0] == 3 - number

    def test_what_is_on_its_way_back_is_taken_by_no_other_thread(
        self, manager: DatabaseManager, alice: Api, limits: Limits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits(rows=9)
        path = alice.post("/reports", title(20)).headers["Location"]
        meanwhile = iter([lambda: alice.post("/reports", title(20))])
        give_back = LimitCounters.use

        def use(self: LimitCounters, use: Use, limits: TenantLimits) -> Used:
            if use.given_back:
                next(meanwhile, lambda: None)()
            return give_back(self, use, limits)

        monkeypatch.setattr(LimitCounters, "use", use)
        assert alice.delete(path).status == 204
        assert next(meanwhile, None) is None
        assert stored(manager) == (1, 20)

    def test_what_an_erased_account_had_is_not_given_back_to_a_new_one(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        limits(rows=9)
        path = alice.post("/reports", title(20)).headers["Location"]
        give_back, later = LimitCounters.use, timestamp(datetime.fromtimestamp(clock.moment + 1, UTC))

        def use(self: LimitCounters, use: Use, limits: TenantLimits) -> Used:
            self.forget(ALICE)
            give_back(self, Use(ALICE, use.window, growth=Growth(1, 20), began=later), limits)
            return give_back(self, use, limits)

        monkeypatch.setattr(LimitCounters, "use", use)
        assert alice.delete(path).status == 204
        assert stored(manager) == (1, 20)

    def test_nothing_is_given_back_to_who_is_not_counted(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(rows=9)
        insert(ALICE, "uncounted")
        assert alice.delete("/reports/uncounted").status == 204
        assert item(manager) == {}

    def test_a_process_that_ends_loses_it_and_the_counters_stay_too_high(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(rows=3)
        for _ in range(2):
            alice.post("/reports", title(20), headers={"idempotency-key": "k"})
        process_memory.cache_clear()
        alice.post("/reports", title(20))
        assert stored(manager) == (3, 60)

    def test_what_could_not_be_given_back_for_throttling_is_kept(
        self, manager: DatabaseManager, alice: Api, limits: Limits, logged: Logged
    ) -> None:
        limits(rows=5)
        path = alice.post("/reports", title(20)).headers["Location"]
        with faulty(manager, answering(400, "ThrottlingException"), after=1) as fault:
            assert alice.delete(path).status == 204
        assert fault.fired
        assert logged.records()[-1]["limits_unavailable"] == 1
        alice.post("/reports", title(20))
        assert stored(manager) == (1, 20)

    def test_what_may_have_been_given_back_is_not_given_back_again(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(rows=5)
        path = alice.post("/reports", title(20)).headers["Location"]
        with faulty(manager, answering(500, "InternalServerError"), after=1) as fault:
            assert alice.delete(path).status == 204
        assert fault.fired == 1
        alice.post("/reports", title(20))
        assert stored(manager) == (2, 40)

    def test_a_write_of_unknown_outcome_counts(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=9)
        path = alice.post("/reports", title(20)).headers["Location"]
        alice.post("/embeddings", EMBEDDING)
        lost = answering(500, "InternalServerError")
        requests: tuple[Callable[[], Answer], ...] = (
            lambda: alice.post("/reports", title(20)),
            lambda: alice.post("/embeddings", {**EMBEDDING, "product_id": "q"}),
            lambda: alice.patch(path, {"title": "1234567"}),
            lambda: alice.delete("/embeddings/p", query={"model_version": "m"}),
        )
        for number, request in enumerate(requests):
            with faulty(manager, lost, after=1 if number < 3 else 0) as fault:  # a delete has no call before it
                assert request().json()["type"].endswith("outcome-unknown")
            assert fault.fired
        assert stored(manager) == (4, 2 * (20 + EMBEDDING_BYTES) + 7)


def lost(request: AWSPreparedRequest) -> AWSResponse:
    """It arrives and is applied, and its answer does not come."""
    botocore_stubber("before-send.dynamodb", request)
    raise ReadTimeoutError(endpoint_url=str(request.url))


class TestLostAnswers:
    """A try was applied, its answer got lost, and the next was told that it had been."""

    def test_what_was_made_counts_once(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=9, bytes=1000)
        for rows, body in enumerate((title(20), title(30)), 1):
            with faulty(manager, lost, times=1, after=1) as fault:
                assert alice.post("/reports", body).status == 201
            assert (fault.fired, stored(manager)[0]) == (1, rows)
        alice.post("/embeddings", EMBEDDING)
        with faulty(manager, lost, times=1, after=1) as fault:
            assert alice.post("/embeddings", {**EMBEDDING, "product_id": "q"}).status == 201
        assert fault.fired == 1
        assert stored(manager) == (4, 50 + 2 * EMBEDDING_BYTES)

    def test_what_was_changed_counts_at_least_once(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=9, bytes=1000)
        path = alice.post("/reports", title(20)).headers["Location"]
        with faulty(manager, lost, times=1, after=1) as fault:
            assert alice.patch(path, {"title": "12345"}).status == 200
        assert fault.fired == 1
        alice.post("/reports", title(20))
        assert stored(manager) == (2, 45)

    def test_what_was_deleted_is_not_given_back(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=9)
        path = alice.post("/reports", title(20)).headers["Location"]
        alice.post("/embeddings", EMBEDDING)
        requests: tuple[Callable[[], Answer], ...] = (
            lambda: alice.delete(path),
            lambda: alice.delete("/embeddings/p", query={"model_version": "m"}),
        )
        for request in requests:
            with faulty(manager, lost, times=1) as fault:
                assert request().status == 204
            assert fault.fired == 1
        assert stored(manager) == (2, 20 + EMBEDDING_BYTES)

    def test_room_may_be_reserved_twice(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=9)
        with faulty(manager, lost, times=1) as fault:
            assert alice.post("/reports", title(20)).status == 201
        assert (fault.fired, stored(manager)) == (1, (2, 40))

    def test_a_request_may_count_twice(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(reads=1)
        with faulty(manager, lost, times=1) as fault:
            assert alice.get("/reports").headers["RateLimit"].startswith('"reads";r=8')
        assert fault.fired == 1


class TestOutage:
    def test_what_would_be_stored_is_refused_and_all_else_goes_on(
        self, manager: DatabaseManager, alice: Api, limits: Limits, logged: Logged
    ) -> None:
        limits(rows=3, writes=1)
        path = alice.post("/reports", title(20)).headers["Location"]
        with faulty(manager, answering(400, "ThrottlingException")) as fault:
            refused = alice.post("/reports", title(20))
        assert (refused.status, refused.headers["Retry-After"], fault.fired >= 1) == (503, "1", True)
        assert "cannot be counted now" in refused.json()["detail"]
        assert logged.records()[-1]["limits_unavailable"] == 1
        with faulty(manager, answering(400, "ResourceNotFoundException"), times=1):
            assert alice.delete(path).status == 204
        assert ReportRepository.count_reports(ALICE) == 0


@pytest.fixture
def frozen(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Recounts by the same clock, which goes on where it is told to."""
    monkeypatch.setattr(limit_counters, "now", lambda: timestamp(datetime.fromtimestamp(clock.moment, UTC)))

    def pass_time(by: timedelta) -> None:
        clock.moment += by.total_seconds()

    return pass_time


def count_anew(manager: DatabaseManager, **options: Any) -> bool:
    quiet = {"check": lambda: None, "sleep": lambda seconds: None}
    return recount(default_objects(), user_id=ALICE, manager=manager, **{**quiet, **options})


class TestRecount:
    def test_it_counts_what_is_there(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=100)
        report = insert(ALICE)
        insert(BOB, "another's")
        products = [embed(ALICE), embed(ALICE, model_version="n")]
        embed(ALICE, "deleted")
        EmbeddingRepository.delete_embedding("deleted", ALICE, MODEL)
        assert count_anew(manager)
        rows = [report.model_dump(), *({**row.model_dump(), "embedding_vector": bytes(8)} for row in products)]
        assert stored(manager) == (3, sum(map(content_bytes, rows)))

    def test_it_comes_to_what_was_counted(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=100)
        path = alice.post("/reports", {"title": "t", "author": "a", "reference": {"n": [1e20, 1.0, 0.1, "ü"]}}).headers[
            "Location"
        ]
        alice.put(f"{path}/favorites", {"favorites": ["a", "bc"]})
        alice.post("/embeddings", {**EMBEDDING, "product": {"n": [1e2, {"x": None}]}})
        alice.post("/reports", title(20))
        counted = stored(manager)
        assert count_anew(manager)
        assert stored(manager) == counted

    def test_what_is_reserved_meanwhile_is_added(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(rows=100)
        alice.post("/reports", title(20))
        late = iter(range(60))

        def sleep(seconds: float) -> None:
            if next(late) == 30:
                assert alice.post("/reports", title(30)).status == 201

        monkeypatch = pytest.MonkeyPatch()
        with monkeypatch.context() as patched:
            patched.setattr("shared.limits.recount.SETTLE_SECONDS", 30.0)
            assert count_anew(manager, sleep=sleep)
        assert stored(manager) == (2, 50)

    def test_one_at_a_time_and_not_all_the_time(self, manager: DatabaseManager) -> None:
        counters = LimitCounters(manager)
        begun = counters.begin_recount(ALICE)
        assert begun is not None
        assert counters.begin_recount(ALICE) is None
        assert not count_anew(manager)
        assert counters.finish_recount(ALICE, begun, Growth(1, 2))
        assert not count_anew(manager)

    def test_one_that_was_taken_over_or_whose_account_is_gone_changes_nothing(self, manager: DatabaseManager) -> None:
        counters = LimitCounters(manager)
        begun = counters.begin_recount(ALICE)
        assert begun is not None
        counters.forget(ALICE)
        assert not counters.finish_recount(ALICE, begun, Growth(1, 2))
        assert item(manager) == {}

    def test_a_claim_that_nobody_knows_of_is_given_up(
        self, manager: DatabaseManager, limits: Limits, frozen: Callable[[timedelta], None]
    ) -> None:
        limits(rows=9)
        with faulty(manager, lost, times=3) as fault, pytest.raises(OutcomeUnknown):
            count_anew(manager)
        assert fault.fired == 3
        assert not count_anew(manager)
        frozen(timedelta(seconds=59))
        assert count_anew(manager)

    def test_two_at_the_same_moment_are_two(
        self, manager: DatabaseManager, frozen: Callable[[timedelta], None]
    ) -> None:
        counters = LimitCounters(manager)
        assert counters.begin_recount(ALICE)
        assert counters.begin_recount(ALICE) is None

    def test_a_try_that_got_lost_on_its_way_does_not_take_over_anothers(self, manager: DatabaseManager) -> None:
        counters = LimitCounters(manager)
        assert counters.begin_recount(ALICE)
        never_arrived = raising(ReadTimeoutError(endpoint_url="https://dynamodb"))
        with faulty(manager, never_arrived, times=1) as fault:
            assert counters.begin_recount(ALICE) is None
        assert fault.fired == 1

    def test_one_whose_account_is_erased_meanwhile_was_not_done(self, manager: DatabaseManager, limits: Limits) -> None:
        insert(ALICE)
        assert not count_anew(manager, check=lambda: LimitCounters(manager).forget(ALICE))

    def test_it_ends_where_it_is_told_to(self, manager: DatabaseManager, limits: Limits) -> None:
        limits(rows=1)
        insert(ALICE)

        def check() -> None:
            raise worker.OutOfTime

        worker.handler({"task": "recount", "user_id": ALICE}, OutOfTimeContext())
        with pytest.raises(worker.OutOfTime):
            recount(default_objects(), user_id=BOB, manager=manager, check=check, sleep=lambda seconds: None)
        assert stored(manager) == (0, 0)

    def test_an_account_that_may_store_no_embeddings_has_none(self, manager: DatabaseManager) -> None:
        insert("a#b")
        assert recount(
            default_objects(), user_id="a#b", manager=manager, check=lambda: None, sleep=lambda seconds: None
        )
        assert stored(manager, "a#b")[0] == 1

    def test_who_is_refused_has_it_counted_anew(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock
    ) -> None:
        limits(rows=2)
        for _ in range(2):
            alice.post("/reports", title(20), headers={"idempotency-key": "k"})
        process_memory.cache_clear()  # the process has ended
        assert alice.post("/reports", title(20)).status == 429
        assert wait_for_local_tasks(20)
        assert stored(manager) == (1, 20)
        clock.moment += 10
        assert alice.post("/reports", title(20)).status == 201

    def test_it_is_asked_for_once(
        self, manager: DatabaseManager, alice: Api, limits: Limits, monkeypatch: pytest.MonkeyPatch, clock: Clock
    ) -> None:
        limits(rows=1)
        asked: list[Any] = []
        monkeypatch.setattr("shared.limits.admission.request_task", asked.append)
        for _ in range(4):
            alice.post("/reports", title(20))
        assert asked == [{"task": "recount", "user_id": ALICE}]
        clock.moment += 60
        alice.post("/reports", title(20))
        assert len(asked) == 2
        assert LimitCounters(manager).begin_recount(ALICE)
        clock.moment += 60
        alice.post("/reports", title(20))
        assert len(asked) == 2

    def test_a_worker_that_cannot_be_asked_is_told_in_the_log(
        self, alice: Api, limits: Limits, monkeypatch: pytest.MonkeyPatch, logged: Logged
    ) -> None:
        def fail(task: object) -> None:
            raise Unavailable("The worker does not answer.")

        limits(rows=1)
        monkeypatch.setattr("shared.limits.admission.request_task", fail)
        assert [alice.post("/reports", title(20)).status for _ in range(2)] == [201, 429]
        assert any(line["message"] == "the worker could not be asked" for line in logged.records())

    def test_one_that_fails_lets_the_next_begin_soon(
        self, manager: DatabaseManager, limits: Limits, frozen: Callable[[timedelta], None]
    ) -> None:
        limits(rows=9)
        insert(ALICE)
        with (
            faulty(manager, answering(400, "ThrottlingException"), times=3, after=1) as fault,
            pytest.raises(TooManyRequests),
        ):
            count_anew(manager)
        assert fault.fired == 3
        assert not count_anew(manager)
        frozen(timedelta(seconds=59))  # Lambda tries again after a minute
        assert count_anew(manager)

    def test_a_claim_that_cannot_be_given_up_ends_by_itself(
        self, manager: DatabaseManager, limits: Limits, logged: Logged, frozen: Callable[[timedelta], None]
    ) -> None:
        limits(rows=9)
        with faulty(manager, answering(400, "ThrottlingException"), after=1), pytest.raises(TooManyRequests):
            count_anew(manager)
        assert logged.records()[-1]["message"] == "the claim of a recount could not be given up"
        frozen(timedelta(minutes=19))
        assert not count_anew(manager)
        frozen(timedelta(minutes=2))
        assert count_anew(manager)

    @pytest.mark.parametrize("after", [0, 3], ids=["its claim", "its end"])
    def test_an_answer_of_its_own_that_gets_lost_is_no_other_recount(
        self, manager: DatabaseManager, limits: Limits, after: int
    ) -> None:
        limits(rows=9)
        insert(ALICE)
        with faulty(manager, lost, times=1, after=after) as fault:
            assert count_anew(manager)
        assert (fault.fired, stored(manager)[0]) == (1, 1)

    def test_who_is_at_their_limit_for_good_is_counted_once_an_hour_unless_something_was_freed(
        self,
        manager: DatabaseManager,
        alice: Api,
        limits: Limits,
        frozen: Callable[[timedelta], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        limits(rows=2, writes=5)
        asked: list[Any] = []
        monkeypatch.setattr("shared.limits.admission.request_task", asked.append)

        def is_asked_for(after: timedelta) -> bool:
            frozen(after)
            asked.clear()
            assert alice.post("/reports", title(20)).status == 429
            return bool(asked)

        paths = [alice.post("/reports", title(20)).headers["Location"] for _ in range(2)]
        assert is_asked_for(timedelta(seconds=10))
        assert count_anew(manager)
        assert not is_asked_for(timedelta(minutes=4))
        assert is_asked_for(timedelta(minutes=2))
        assert count_anew(manager)
        assert not is_asked_for(timedelta(minutes=59))
        assert is_asked_for(timedelta(minutes=2))
        assert count_anew(manager)
        frozen(timedelta(minutes=1))
        assert alice.delete(paths[0]).status == 204
        process_memory.cache_clear()  # it was another's
        assert not is_asked_for(timedelta(minutes=1))
        assert is_asked_for(timedelta(minutes=4))
        assert count_anew(manager)
        assert stored(manager) == (1, 20)


class OutOfTimeContext:
    aws_request_id = "r"

    def get_remaining_time_in_millis(self) -> int:
        return 1


class TestBeforeTheFirstCount:
    """Limits were switched on for a tenant who has rows."""

    def test_so_much_may_be_stored_before_it_is_known_what_there_is(
        self,
        manager: DatabaseManager,
        alice: Api,
        limits: Limits,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setitem(limit_counters._PROVISIONAL, "rows", 5)
        limits(rows=7)
        for number in range(7):
            insert(ALICE, str(number), title="t", author="a", reference=None, favorites=set())
        batch = [{**EMBEDDING, "product_id": str(number)} for number in range(5)]
        assert alice.post("/embeddings/batch", {"items": batch}).json()["stored"] == 5
        refused = alice.post("/reports", title(20))
        assert (refused.status, refused.json()["violated-policies"]) == (429, ["rows"])
        assert "What the account stores is being counted" in refused.json()["detail"]
        assert refused.headers["RateLimit"] == '"rows";r=0'
        assert wait_for_local_tasks(20)
        assert stored(manager)[0] == 12
        clock.moment += 10
        assert "beside the 12 that are counted" in alice.post("/reports", title(20)).json()["detail"]

    def test_who_has_been_counted_may_use_all_of_it(
        self, manager: DatabaseManager, alice: Api, limits: Limits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(limit_counters._PROVISIONAL, "rows", 1)
        limits(rows=5)
        assert count_anew(manager)
        assert [alice.post("/reports", title(20)).status for _ in range(2)] == [201, 201]
        assert alice.post("/reports", title(20)).status == 201


def test_an_erasure_takes_the_counts_along(manager: DatabaseManager, alice: Api, bob: Api, limits: Limits) -> None:
    limits(rows=5, writes=5)
    for api in (alice, bob):
        assert api.post("/reports", title(20)).status == 201
    assert alice.delete("/user").status == 202
    assert wait_for_local_tasks(20)
    assert (item(manager), stored(manager, BOB)) == ({}, (1, 20))


def test_counts_that_cannot_be_erased_keep_the_erasure_going(manager: DatabaseManager) -> None:
    with faulty(manager, answering(500, "InternalServerError")) as fault, pytest.raises(Unavailable):
        LimitCounters(manager).forget(ALICE)
    assert fault.fired == 3


def test_windows_are_ten_seconds() -> None:
    assert window_at(START) == window_at(START + 6.9) == window_at(START + 7) - 1


def test_rows_of_another_origin_can_be_measured() -> None:
    assert content_bytes({"embedding_vector": [1, 2], "product": {"a": None}, "reference": None}) == 8 + 10
    assert content_bytes({"id": "x", "user_id": "u", "version": 3, "title": "é", "favorites": {"a", "éé"}}) == 2 + 5
