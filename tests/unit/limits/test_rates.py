"""Requests of a tenant are counted by class of route, in windows, and those beyond a quota are refused."""

from collections import Counter
from collections.abc import Sized
from typing import Any

import pytest

from shared.config import TenantLimits, get_tenant_limits
from shared.database import DatabaseManager
from shared.database.limit_counters import LimitCounters, OverLimit, Use, Used, window_at
from shared.errors import LimitExceeded
from shared.limits.admission import MANY_LEFTOVERS, admit
from shared.limits.memory import Full, LimitMemory, Returns, process_memory
from shared.scope import Growth, request_scope
from tests.conftest import ALICE, BOB
from tests.support.api import Answer, Api
from tests.support.cases import CASES, OPEN, SIGNED_IN, prepare
from tests.support.faults import answering, faulty, recorded, requests_sent
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.unit.limits.conftest import START, Clock, Limits

WINDOW = window_at(START)
EXEMPT = {("DELETE", "/user"), ("GET", "/user/erasure")}
SEARCHES = {
    ("POST", "/embeddings/search"),
    ("POST", "/reports/{report_id}/search"),
    ("GET", "/reports/{report_id}/export"),
    ("GET", "/embeddings/similarity/{product_id}"),
    ("POST", "/embeddings/similarity"),
    ("POST", "/user/export"),
}


def item(manager: DatabaseManager, user_id: str = ALICE) -> dict[str, Any]:
    answer = manager.client.get_item(TableName=manager.settings.limits_table, Key={"user_id": {"S": user_id}})
    return Used({name: int(value["N"]) for name, value in answer.get("Item", {}).items() if "N" in value}).row


def statuses(answers: list[Answer]) -> Counter[int]:
    return Counter(answer.status for answer in answers)


class TestClasses:
    def test_every_route_that_takes_a_token_is_in_a_class_but_those_of_an_erasure(self) -> None:
        found = {case.key: case.endpoint.route_class for case in CASES.values()}
        for key, route_class in found.items():
            if key[1] in OPEN or key in EXEMPT:
                assert route_class is None
            elif key in SEARCHES:
                assert route_class == "searches"
            else:
                assert route_class == ("reads" if key[0] == "GET" else "writes")

    def test_the_routes_that_may_store_more(self) -> None:
        assert {case.key for case in CASES.values() if case.endpoint.may_grow} == {
            ("POST", "/reports"),
            ("PATCH", "/reports/{report_id}"),
            ("PUT", "/reports/{report_id}/favorites"),
            ("PUT", "/reports/{report_id}/favorites/{product_id}"),
            ("POST", "/embeddings"),
            ("POST", "/embeddings/batch"),
            ("PATCH", "/embeddings/{product_id}"),
        }


class TestCallCounts:
    def test_a_limit_costs_one_call_on_every_route_but_those_of_an_erasure(
        self, manager: DatabaseManager, alice: Api, limits: Limits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("handlers.embeddings.build_matrix.request_task", lambda task: None)
        monkeypatch.setattr("handlers.users.accounts.request_task", lambda task: None)
        prepare(ALICE)
        limits(reads=50, writes=50, searches=50, rows=1000, bytes=1_000_000)
        counted = {}
        methods = ("GET", "POST", "PATCH", "PUT", "DELETE")
        in_order = sorted(
            SIGNED_IN, key=lambda case: (case.path.endswith("/delete"), methods.index(case.method), -len(case.path))
        )
        for case in in_order:
            with requests_sent(manager) as sent:
                assert case.send(alice).status < 300, case
            counted[case.key] = sum(call.get("TableName") == manager.settings.limits_table for _, call in sent)
        assert counted == {case.key: int(case.key not in EXEMPT) for case in SIGNED_IN}

    def test_limits_that_are_off_cost_nothing(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(reads=0, writes="", rows=0)
        assert get_tenant_limits() is None
        with recorded(manager) as asked:
            alice.get("/reports")
            alice.post("/reports", {"title": "T", "author": "A"})
        assert asked == ["Query", "PutItem"]

    def test_a_limit_of_writes_costs_nothing_on_reads(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(writes=5, rows=10, bytes=10_000)
        with recorded(manager) as asked:
            answer = alice.get("/reports")
            alice.post("/reports", {"title": "T", "author": "A"})
        assert asked == ["Query", "UpdateItem", "PutItem"]
        assert "RateLimit-Policy" not in answer.headers

    def test_what_is_not_understood_costs_nothing(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(reads=5, writes=5, rows=5)
        with recorded(manager) as asked:
            assert alice.post("/reports", {}).status == 422
            assert Api().get("/reports").status == 401
        assert asked == []


class TestQuotas:
    def test_what_is_beyond_the_quota_is_refused_and_then_without_a_call(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(reads=0.5)
        with recorded(manager) as asked:
            answers = [alice.get("/reports") for _ in range(8)]
        assert statuses(answers) == {200: 5, 429: 3}
        assert asked == ["UpdateItem", "Query"] * 5
        assert item(manager) == {f"r{WINDOW}": 5}

    def test_an_answer_tells_what_is_left(self, alice: Api, limits: Limits) -> None:
        limits(reads=0.2, writes=3)
        first, _, refused = (alice.get("/reports") for _ in range(3))
        assert first.headers["RateLimit-Policy"] == '"reads";q=2;w=10'
        assert first.headers["RateLimit"] == '"reads";r=1;t=7'
        assert (refused.status, refused.headers["Retry-After"]) == (429, "7")
        assert refused.headers["RateLimit"] == '"reads";r=0;t=7'
        problem = refused.json()
        assert problem["type"] == "urn:k9:problem:too-many-requests"
        assert problem["violated-policies"] == ["reads"]
        assert "More than 2 requests of the class 'reads' in 10 seconds" in problem["detail"]

    def test_a_refusal_after_it_was_counted_tells_as_well(self, alice: Api, limits: Limits) -> None:
        limits(reads=1)
        answer = alice.get("/reports/none")
        assert (answer.status, answer.headers["RateLimit"]) == (404, '"reads";r=9;t=7')

    def test_the_next_window_begins_afresh_and_leaves_nothing(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock
    ) -> None:
        limits(reads=0.1)
        for number in range(5):
            clock.moment = START + 20 * number
            assert statuses([alice.get("/reports") for _ in range(3)]) == {200: 1, 429: 2}
        assert item(manager) == {f"r{WINDOW + 8}": 1}

    def test_the_last_window_is_kept_for_a_process_whose_clock_is_behind(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock
    ) -> None:
        limits(reads=0.1)
        alice.get("/reports")
        clock.moment += 10
        alice.get("/reports")
        assert item(manager) == {f"r{WINDOW}": 1, f"r{WINDOW + 1}": 1}

    def test_classes_and_tenants_are_counted_apart(
        self, manager: DatabaseManager, alice: Api, bob: Api, limits: Limits
    ) -> None:
        limits(reads=0.1, writes=0.1)
        assert [api.get("/reports").status for api in (alice, alice, bob)] == [200, 429, 200]
        assert alice.post("/reports", {"title": "T"}).status == 201
        assert (item(manager), item(manager, BOB)) == ({f"r{WINDOW}": 1, f"w{WINDOW}": 1}, {f"r{WINDOW}": 1})

    def test_an_erasure_can_always_be_asked_for(
        self, alice: Api, limits: Limits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("handlers.users.accounts.request_task", lambda task: None)
        limits(reads=0.1, writes=0.1)
        for _ in range(3):
            alice.get("/reports")
            alice.post("/reports", {"title": "T"})
        assert alice.get("/reports").status == alice.post("/reports", {"title": "T"}).status == 429
        assert (alice.delete("/user").status, alice.get("/user/erasure").status) == (202, 200)

    def test_the_log_has_the_class_that_was_exceeded(self, alice: Api, limits: Limits, logged: Logged) -> None:
        limits(reads=0.1)
        for _ in range(2):
            alice.get("/reports")
        line = logged.records()[-1]
        assert (line["status"], line["limits"], line["throttles"], line["aws_calls"]) == (429, ["reads"], 1, 0)


LIMITS = TenantLimits({"reads": 20})


class Process:
    """Another function instance: nothing of it is shared but the table."""

    def __init__(self, manager: DatabaseManager, clock: Clock, limits: TenantLimits = LIMITS) -> None:
        self.manager, self.memory, self.limits = manager, LimitMemory(clock), limits

    def admits(self) -> bool:
        try:
            admit(self.limits, ALICE, "reads", Growth(), manager=self.manager, memory=self.memory)
        except LimitExceeded:
            return False
        return True


class TestProcesses:
    def test_many_processes_admit_the_quota_exactly(self, manager: DatabaseManager, clock: Clock) -> None:
        """In turns: what happens when they do not take turns is for engines that do one update after another."""
        processes = [Process(manager, clock) for _ in range(4)]
        admitted = [processes[number % 4].admits() for number in range(30)]
        assert admitted == [True] * 20 + [False] * 10
        assert item(manager) == {f"r{WINDOW}": 20}

    def test_a_process_that_was_refused_asks_no_more(self, manager: DatabaseManager, clock: Clock) -> None:
        first, second = Process(manager, clock), Process(manager, clock)
        assert all(first.admits() for _ in range(20))
        with recorded(manager) as asked:
            assert not any(second.admits() for _ in range(5))
        assert asked == ["UpdateItem"]
        clock.moment += 10
        assert second.admits()

    def test_what_processes_leave_that_come_once_is_removed_by_the_next_that_comes_twice(
        self, manager: DatabaseManager, clock: Clock
    ) -> None:
        for _ in range(5):
            assert Process(manager, clock).admits()
            clock.moment += 600
        assert len(item(manager)) == 5
        lasting = Process(manager, clock)
        assert [lasting.admits(), lasting.admits()] == [True, True]
        assert item(manager) == {f"r{window_at(clock.moment)}": 2}

    def test_what_they_leave_is_bounded(self, manager: DatabaseManager, clock: Clock) -> None:
        made = {f"w{WINDOW - 100 * number}": {"N": "1"} for number in range(1, MANY_LEFTOVERS + 1)}
        manager.client.put_item(TableName=manager.settings.limits_table, Item={"user_id": {"S": ALICE}, **made})
        assert Process(manager, clock).admits()
        assert len(item(manager)) == MANY_LEFTOVERS + 1
        clock.moment += 600
        with recorded(manager) as asked:
            assert Process(manager, clock).admits()
        assert asked == ["UpdateItem", "UpdateItem"]
        assert item(manager) == {f"r{window_at(clock.moment)}": 1}

    def test_a_clock_that_is_set_back_removes_no_window_that_is_counted(
        self, manager: DatabaseManager, clock: Clock
    ) -> None:
        process = Process(manager, clock)
        assert process.admits()
        clock.moment += 600
        assert process.admits()
        clock.moment = START
        assert process.admits()
        assert item(manager)[f"r{WINDOW}"] == 2

    def test_a_process_remembers_only_so_many_tenants(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.limits.memory._MAX_TENANTS", 3)
        memory = LimitMemory(clock)
        for number in range(10):
            memory.exhaust(str(number), "reads", 1)
            memory.note_leftovers(str(number), ["r1"])
            memory.keep(str(number), Returns(Growth(-1), "g"))
            memory.note_generation(str(number), "g")
            memory.note_full(str(number), Full(1, Growth(1), Used({})))
            assert memory.refused(str(number), "writes", 1) == 1
            assert memory.may_ask(str(number))
        assert [memory.is_exhausted(str(number), "reads", 1) for number in (0, 9)] == [False, True]
        kept: list[Sized] = [value for value in vars(memory).values() if isinstance(value, dict)]
        assert len(kept) == 7
        assert max(len(each) for each in kept) <= 3


class TestOutage:
    @pytest.mark.parametrize("status", [400, 500])
    def test_a_request_goes_on_uncounted_and_the_log_says_so(
        self, manager: DatabaseManager, alice: Api, limits: Limits, logged: Logged, status: int
    ) -> None:
        limits(reads=1)
        code = "ResourceNotFoundException" if status == 400 else "InternalServerError"
        with faulty(manager, answering(status, code), times=3 if status == 500 else 1) as fault:
            answer = alice.get("/reports")
        assert (answer.status, fault.fired >= 1) == (200, True)
        assert answer.headers["RateLimit-Policy"] == '"reads";q=10;w=10'
        assert "RateLimit" not in answer.headers
        assert logged.records()[-1]["limits_unavailable"] == 1

    def test_a_wrong_setting_is_named_in_the_log(self, alice: Api, limits: Limits, logged: Logged) -> None:
        limits(reads="many")
        assert alice.get("/reports").status == 500
        assert "LIMIT_READS is 'many'" in logged.records()[-1]["configuration"]


class TestMemoryOfTheProcess:
    def test_what_is_given_back_is_added_up_within_a_generation(self, clock: Clock) -> None:
        memory = LimitMemory(clock)
        for generation in ("one", "two", "two"):
            memory.keep(ALICE, Returns(Growth(-1, -5), generation))
        assert memory.take(ALICE) == Returns(Growth(-2, -10), "two")
        assert memory.take(ALICE) is None

    def test_what_is_of_a_generation_that_is_over_goes(self, clock: Clock) -> None:
        memory = LimitMemory(clock)
        memory.keep(ALICE, Returns(Growth(-1), "one"))
        memory.note_generation(ALICE, "two")
        for generation in ("two", "one"):
            memory.keep(ALICE, Returns(Growth(-5), generation))
        assert memory.take(ALICE) == Returns(Growth(-5), "two")

    def test_it_is_one_for_the_process_and_none_of_a_copy(self) -> None:
        assert process_memory() is process_memory()

    def test_outside_a_request_nothing_is_settled(self, manager: DatabaseManager, clock: Clock) -> None:
        limits = TenantLimits({}, rows=5)
        admission = admit(limits, ALICE, "writes", Growth(1, 1), manager=manager, memory=LimitMemory(clock))
        with recorded(manager) as asked:
            admission.settle()
        with request_scope():
            admission.settle()
        assert asked == []

    def test_a_use_beyond_what_is_left_counts_nothing(self, manager: DatabaseManager) -> None:
        counters = LimitCounters(manager)
        limits = TenantLimits({"reads": 1}, rows=1)
        counters.use(Use(ALICE, 7, "reads", Growth(1, 2)), limits)
        for use in (Use(ALICE, 7, "reads"), Use(ALICE, 8, "reads", Growth(1, 2))):
            with pytest.raises(OverLimit) as refusal:
                counters.use(use, limits)
            assert refusal.value.used.stored("rows") == 1
        assert item(manager) == {"r7": 1, "rows": 1, "bytes": 2, "rows_reserved": 1, "bytes_reserved": 2}
