"""What a request has spent, and that the worst case adds up to less than anyone's patience."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from scripts.local.template import Template
from shared import jwks
from shared.database import DatabaseManager
from shared.database.client import CONNECT_TIMEOUT_SECONDS, MAX_ATTEMPTS, READ_TIMEOUT_SECONDS
from shared.errors import TooManyRequests, Unavailable
from shared.scope import (
    CALL_WORST_CASE_SECONDS,
    LAST_CALL_STARTS_BY_SECONDS,
    Scope,
    current_scope,
    request_scope,
)
from tests.support.api import Api
from tests.support.faults import answering, faulty
from tests.support.problems import assert_problem

GATEWAY_SECONDS = 29
JWKS_WORST_CASE_SECONDS = jwks.CONNECT_TIMEOUT_SECONDS + 3 * jwks.READ_TIMEOUT_SECONDS
"""To connect; silence until the head; an endpoint that drips until its deadline, and one silence more."""


def longest_pause(retry: int) -> float:
    """The longest pause before a retry (from 1) in standard mode: full jitter over 1 s x 2^(n-1), at most 20 s."""
    return float(min(2 ** (retry - 1), 20))


class _Slow(int):
    """A number between whose reading and writing another thread has its turn."""

    def __add__(self, other: int) -> "_Slow":
        time.sleep(0.002)
        return _Slow(int(self) + other)


def function_timeouts() -> set[int]:
    return {route.timeout for route in Template.load().routes()}


def run_late(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let every request be as old as that when it comes to its first call."""
    monkeypatch.setattr("shared.scope.time", SimpleNamespace(monotonic=lambda: time.monotonic() + seconds))


class TestWorstCase:
    def test_one_call(self) -> None:
        tries = MAX_ATTEMPTS * (CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS)
        pauses = sum(longest_pause(retry) for retry in range(1, MAX_ATTEMPTS))
        assert tries + pauses == CALL_WORST_CASE_SECONDS

    def test_the_pauses_are_the_sdks(self) -> None:
        """The formula above is stated by hand; here the SDK is asked, with the least lucky jitter."""
        throttled: Any = SimpleNamespace(is_throttling_error_from_context=lambda context: True)
        unlucky = ExponentialBackoff(random=lambda: 1.0, throttling_detector=throttled)
        for retry in range(1, 9):
            context: Any = SimpleNamespace(attempt_number=retry, http_response=None)
            assert unlucky.delay_amount(context) == longest_pause(retry)

    def test_the_client_is_configured_so(self, manager: DatabaseManager) -> None:
        config: Any = manager.client.meta.config
        assert config.retries == {"mode": "standard", "total_max_attempts": MAX_ATTEMPTS}
        assert (config.connect_timeout, config.read_timeout) == (CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS)

    def test_no_pause_that_the_service_asks_for_is_added(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The SDK would otherwise pause up to 5 s longer each time (`x-amz-retry-after`)."""
        pauses: list[float] = []
        monkeypatch.setattr("time.sleep", pauses.append)
        throttled = answering(400, "ThrottlingException", {"x-amz-retry-after": "60000"})
        with faulty(manager, throttled) as fault, pytest.raises(TooManyRequests):
            manager.call("get_item", TableName="t", Key={"id": {"S": "i"}})
        assert fault.fired == MAX_ATTEMPTS
        assert len(pauses) == MAX_ATTEMPTS - 1
        assert all(pause <= longest_pause(retry) for retry, pause in enumerate(pauses, 1))

    def test_the_last_call_ends_before_the_function_does_and_that_before_the_gateway_gives_up(self) -> None:
        for timeout in function_timeouts():
            assert LAST_CALL_STARTS_BY_SECONDS + CALL_WORST_CASE_SECONDS < timeout < GATEWAY_SECONDS

    def test_a_fetch_of_keys_comes_before_and_ends_sooner(self) -> None:
        """It is on the same account: either a call still starts in time, or none is made at all."""
        assert JWKS_WORST_CASE_SECONDS < LAST_CALL_STARTS_BY_SECONDS + CALL_WORST_CASE_SECONDS
        assert min(function_timeouts()) > JWKS_WORST_CASE_SECONDS


class TestTime:
    def test_a_call_may_start_until_the_limit(self) -> None:
        Scope(started=time.monotonic() - LAST_CALL_STARTS_BY_SECONDS + 1).ensure_time_for_a_call()
        with pytest.raises(Unavailable, match="ran out of time"):
            Scope(started=time.monotonic() - LAST_CALL_STARTS_BY_SECONDS).ensure_time_for_a_call()

    def test_a_late_request_makes_no_call_and_says_when_to_try_again(
        self, alice: Api, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As after a slow fetch of keys: the account was opened before the token was looked at."""
        run_late(monkeypatch, LAST_CALL_STARTS_BY_SECONDS + 0.1)
        with faulty(manager, answering(500, "InternalServerError")) as fault:
            assert_problem(alice.get("/reports/some-id"), 503, "unavailable")
        assert fault.fired == 0

    def test_outside_a_request_nothing_is_bounded(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        run_late(monkeypatch, 3600)
        key = {"user_id": {"S": "nobody"}}
        assert "Item" not in manager.call("get_item", TableName=manager.settings.users_table, Key=key)


class TestAccount:
    def test_it_is_open_for_the_block_alone(self) -> None:
        assert current_scope() is None
        with request_scope() as scope:
            assert current_scope() is scope
        assert current_scope() is None

    def test_it_is_closed_by_an_exception_too(self) -> None:
        with pytest.raises(LookupError), request_scope():
            raise LookupError
        assert current_scope() is None

    def test_calls_tries_and_capacity_are_entered(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        key = {"user_id": {"S": "nobody"}}
        with request_scope() as scope:
            manager.call("get_item", TableName=manager.settings.users_table, Key=key)
            with faulty(manager, answering(500, "InternalServerError"), times=2):
                manager.call("get_item", TableName=manager.settings.users_table, Key=key)
        assert (scope.aws_calls, scope.retries) == (2, 2)
        assert scope.consumed_capacity > 0

    def test_calls_of_many_threads_are_all_entered(self) -> None:
        """A number is read and written in two steps: without the lock, one thread's count undoes another's."""
        scope = Scope(aws_calls=_Slow(), retries=_Slow())
        scope.consumed_capacity = _Slow()
        with ThreadPoolExecutor(8) as pool:
            for _ in range(8):
                pool.submit(scope.count_call, 2)
                pool.submit(scope.count_capacity, 3)
        assert (scope.aws_calls, scope.retries, scope.consumed_capacity) == (8, 16, 24)

    def test_a_failed_call_is_counted(self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        with request_scope() as scope, faulty(manager, answering(500, "InternalServerError")):
            with pytest.raises(Unavailable):
                manager.call("get_item", TableName="t", Key={"id": {"S": "i"}})
            assert (scope.aws_calls, scope.retries) == (1, MAX_ATTEMPTS - 1)
