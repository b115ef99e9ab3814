"""Requests for which there is no room: a flood of them is held as any other, and each says what its client can do."""

from typing import Any

import pytest
from botocore.exceptions import CredentialRetrievalError

from shared.config import ConfigurationError
from shared.database import DatabaseManager, limit_counters
from shared.limits.memory import process_memory
from tests.conftest import ALICE
from tests.support.api import Api
from tests.support.cases import insert
from tests.support.faults import answering, faulty, raising, recorded
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.unit.limits.conftest import Clock, Limits
from tests.unit.limits.test_storage import EMBEDDING, count_anew, stored, title

NO_CREDENTIALS = CredentialRetrievalError(provider="container-role", error_msg="gone")


@pytest.fixture(autouse=True)
def no_recounts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.limits.admission.request_task", lambda task: None)


class TestFloods:
    def test_the_same_request_again_costs_no_call_in_this_window(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock
    ) -> None:
        limits(rows=1, writes=50)
        assert alice.post("/reports", title(20)).status == 201
        first = alice.post("/reports", title(20))
        with recorded(manager) as asked:
            again = [alice.post("/reports", title(20)) for _ in range(50)]
        assert asked == []
        assert {(answer.status, answer.headers["RateLimit"]) for answer in again} == {(429, first.headers["RateLimit"])}
        clock.moment += 10
        with recorded(manager) as asked:
            assert alice.post("/reports", title(20)).status == 429
        assert asked == ["UpdateItem"]

    def test_ever_other_ones_cost_as_many_calls_as_the_quota_has(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(bytes=250, writes=0.5)
        assert alice.post("/reports", title(200)).status == 201
        with recorded(manager) as asked:
            refused = [alice.post("/reports", title(size)) for size in range(150, 100, -1)]
        assert {answer.status for answer in refused} == {429}
        assert len(asked) == 5
        assert refused[-1].json()["violated-policies"] == ["writes"]

    def test_what_needs_less_may_still_fit(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        limits(bytes=100, rows=9)
        assert alice.post("/reports", title(50)).status == 201
        assert [alice.post("/reports", title(size)).status for size in (60, 70, 50)] == [429, 429, 201]

    def test_what_had_room_is_not_remembered(self, manager: DatabaseManager, alice: Api, limits: Limits) -> None:
        """The rows have, by what is given back; the bytes have not."""
        limits(rows=2, bytes=100, writes=50)
        assert count_anew(manager)
        for _ in range(2):
            assert alice.post("/reports", title(40), headers={"idempotency-key": "k"}).status == 201
        assert stored(manager) == (2, 80)
        assert alice.post("/reports", title(90)).json()["violated-policies"] == ["bytes"]
        assert alice.post("/reports", title(50)).status == 201

    def test_rows_and_bytes_are_remembered_side_by_side(
        self, manager: DatabaseManager, alice: Api, limits: Limits, clock: Clock
    ) -> None:
        limits(rows=1, bytes=150)
        path = alice.post("/reports", title(90)).headers["Location"]
        with recorded(manager) as asked:
            for _ in range(10):
                assert alice.post("/reports", title(12)).status == 429
                assert alice.patch(path, {"title": "t" * 80}).status == 429
        assert len(asked) == 2
        clock.moment += 10
        with recorded(manager) as asked:
            assert alice.patch(path, {"title": "t" * 80}).status == 429
            assert alice.patch(path, {"title": "t" * 5}).status == 200
        assert len(asked) == 3

    def test_who_is_not_counted_yet_is_refused_by_what_was_reserved(
        self, manager: DatabaseManager, alice: Api, limits: Limits, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is to be given back was reserved all the same."""
        monkeypatch.setitem(limit_counters._PROVISIONAL, "rows", 2)
        limits(rows=9)
        for _ in range(2):
            assert alice.post("/reports", title(20), headers={"idempotency-key": "k"}).status == 201
        with recorded(manager) as asked:
            assert {alice.post("/reports", title(20)).status for _ in range(10)} == {429}
        assert asked == ["UpdateItem"]

    @pytest.mark.parametrize("also", [{}, {"writes": 50}], ids=["by a call of its own", "with the next call"])
    def test_what_is_deleted_makes_room_at_once(
        self, manager: DatabaseManager, alice: Api, limits: Limits, also: dict[str, int]
    ) -> None:
        limits(rows=1, **also)
        assert count_anew(manager)
        path = alice.post("/reports", title(20)).headers["Location"]
        assert alice.post("/reports", title(20)).status == 429
        assert alice.delete(path).status == 204
        assert alice.post("/reports", title(20)).status == 201


class TestAnswers:
    def test_what_can_never_fit_is_not_asked_to_come_again(self, alice: Api, limits: Limits) -> None:
        limits(bytes=15)
        detail = alice.post("/reports", title(20)).json()["detail"]
        assert "no later try can be let in" in detail
        assert "try again" not in detail

    def test_no_more_is_left_than_there_is_of_the_quota(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(rows=20, writes=50)
        assert count_anew(manager)
        alice.post("/reports", title(20))
        for number in range(5):
            insert(ALICE, str(number))
            assert alice.delete(f"/reports/{number}").status == 204
        assert alice.post("/reports", title(20)).headers["RateLimit"].endswith(', "rows";r=20')
        assert stored(manager)[0] == -3

    def test_before_the_first_count_what_is_left_is_what_may_be_stored_till_then(
        self, alice: Api, limits: Limits
    ) -> None:
        limits(rows=5000)
        assert alice.post("/reports", title(20)).headers["RateLimit"] == '"rows";r=499'

    def test_a_replacement_at_the_limit_is_refused_as_well(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        """Whether it replaces something is not known before it is made."""
        limits(rows=1)
        assert alice.post("/embeddings", EMBEDDING).status == 201
        assert count_anew(manager)
        process_memory.cache_clear()
        assert alice.post("/embeddings", EMBEDDING).status == 429


class TestFailures:
    @pytest.mark.parametrize(
        "error", [ConfigurationError("no worker"), CredentialRetrievalError(provider="p", error_msg="m")]
    )
    def test_a_worker_that_cannot_be_asked_makes_it_no_other_answer(
        self, alice: Api, limits: Limits, logged: Logged, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(task: Any) -> None:
            raise error

        limits(rows=1)
        monkeypatch.setattr("shared.limits.admission.request_task", fail)
        assert [alice.post("/reports", title(20)).status for _ in range(2)] == [201, 429]
        assert any(line["message"] == "the worker could not be asked" for line in logged.records())

    def test_credentials_that_are_gone_when_room_is_given_back_do_not_undo_a_success(
        self, manager: DatabaseManager, alice: Api, limits: Limits, logged: Logged
    ) -> None:
        limits(rows=5)
        path = alice.post("/reports", title(20)).headers["Location"]
        with faulty(manager, raising(NO_CREDENTIALS), after=1) as fault:
            assert alice.delete(path).status == 204
        assert fault.fired
        assert logged.records()[-1]["limits_unavailable"] == 1

    def test_a_recount_in_between_is_no_failure_of_giving_back(
        self, manager: DatabaseManager, alice: Api, limits: Limits, logged: Logged
    ) -> None:
        limits(rows=5)
        path = alice.post("/reports", title(20)).headers["Location"]
        assert count_anew(manager)
        assert alice.delete(path).status == 204
        assert "limits_unavailable" not in logged.records()[-1]
        assert stored(manager) == (0, 0)

    def test_what_could_not_be_given_back_as_the_counters_were_unknown_is_lost(
        self, manager: DatabaseManager, alice: Api, limits: Limits
    ) -> None:
        limits(rows=5)
        path = alice.post("/reports", title(20)).headers["Location"]
        process_memory.cache_clear()
        with faulty(manager, answering(400, "ThrottlingException"), after=1) as fault:
            assert alice.delete(path).status == 204
        assert fault.fired
        alice.post("/reports", title(20))
        assert stored(manager) == (2, 40)
