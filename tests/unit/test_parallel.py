"""Many calls at once: each outcome in its place, throttled ones tried again, and one account for all of them."""

import contextvars
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.database import DatabaseManager
from shared.database.attributes import to_item
from shared.database.parallel import run_all, values_of
from shared.errors import ApiError, NotFound, TooManyRequests, Unavailable
from shared.scope import LAST_CALL_STARTS_BY_SECONDS, request_scope
from tests.support.faults import answering, faulty

NOBODY = to_item({"user_id": "nobody"})


class Time:
    """A clock that only pauses move on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock of `run_all`, with the unluckiest jitter."""
    clock = Time()
    monkeypatch.setattr("shared.database.parallel.time", clock)
    monkeypatch.setattr("shared.database.parallel.random", SimpleNamespace(uniform=lambda low, high: high))
    return clock


def failing(error: Exception) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


class Throttled:
    """A call that is throttled so many times before it is answered."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.calls = 0

    def __call__(self) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise TooManyRequests
        return "done"


def test_no_calls() -> None:
    assert run_all([]) == []


@given(delays=st.lists(st.integers(0, 3), max_size=40))
def test_outcomes_are_in_order_however_long_each_takes(delays: list[int]) -> None:
    def call(index: int, delay: int) -> int:
        time.sleep(delay / 10_000)
        return index

    assert run_all([partial(call, index, delay) for index, delay in enumerate(delays)]) == list(range(len(delays)))


def test_they_run_at_once_but_no_more_than_so_many() -> None:
    """Sixteen wait for each other; a seventeenth at the same time would have been counted."""
    together, running, most = threading.Barrier(16, timeout=10), 0, 0
    lock = threading.Lock()

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1

    run_all([call] * 64)
    assert most == 16


def test_an_error_is_an_outcome() -> None:
    error = NotFound("Gone.")
    calls: list[Callable[[], Any]] = [lambda: 1, failing(error), lambda: None]
    assert run_all(calls) == [1, error, None]


@pytest.mark.parametrize("error", [ValueError("v"), KeyError("k"), AssertionError()])
def test_any_other_exception_is_raised(error: Exception) -> None:
    done: list[int] = []
    calls: list[Callable[[], Any]] = [failing(NotFound("Gone.")), failing(error), lambda: done.append(1)]
    with pytest.raises(type(error)) as raised:
        run_all(calls)
    assert raised.value is error
    assert done == [1]


class TestThrottling:
    def test_throttled_calls_alone_are_made_again(self, clock: Time) -> None:
        calls = [Throttled(times) for times in (0, 1, 3, 0)]
        assert run_all(calls) == ["done"] * 4
        assert [call.calls for call in calls] == [1, 2, 4, 1]
        assert clock.pauses == [0.1, 0.2, 0.4]

    def test_what_is_still_throttled_when_time_is_up_is_reported(self, clock: Time) -> None:
        calls = [Throttled(0), Throttled(1000), Throttled(2)]
        first, second, third = run_all(calls)
        assert (first, third) == ("done", "done")
        assert isinstance(second, TooManyRequests)
        assert clock.pauses == [0.1, 0.2, 0.4, 0.8, 0.8]
        assert clock.now <= 3.0

    def test_pauses_are_jittered_in_full(self, clock: Time, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[tuple[float, float]] = []

        def uniform(low: float, high: float) -> float:
            asked.append((low, high))
            return low

        monkeypatch.setattr("shared.database.parallel.random", SimpleNamespace(uniform=uniform))
        run_all([Throttled(6)])
        assert asked[:6] == [(0, 0.1), (0, 0.2), (0, 0.4), (0, 0.8), (0, 0.8), (0, 0.8)]

    def test_an_error_of_a_later_try_is_the_outcome(self, clock: Time) -> None:
        error = Unavailable("The request ran out of time.")
        tries: list[ApiError] = [TooManyRequests(), error]
        assert run_all([lambda: failing(tries.pop(0))()]) == [error]

    def test_nothing_is_paused_for_where_nothing_is_throttled(self, clock: Time) -> None:
        run_all([lambda: 1, failing(NotFound("Gone.")), failing(Unavailable("Down."))])
        assert clock.pauses == []

    def test_a_request_that_runs_out_of_time_ends_there(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = SimpleNamespace(monotonic=lambda: time.monotonic() + LAST_CALL_STARTS_BY_SECONDS + 1)
        with request_scope():
            monkeypatch.setattr("shared.scope.time", late)
            outcomes = run_all([partial(manager.call, "get_item", TableName="t", Key=NOBODY)] * 3)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3


class TestContext:
    def test_each_call_has_the_callers_context_and_leaves_it_as_it_is(self) -> None:
        variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
        variable.set(7)

        def call(number: int) -> int:
            found = variable.get()
            variable.set(number)
            time.sleep(random.random() / 1000)  # noqa: S311 - not a secret
            assert variable.get() == number
            return found

        assert run_all([partial(call, number) for number in range(40)]) == [7] * 40
        assert variable.get() == 7

    def test_calls_of_all_threads_are_on_the_requests_account(
        self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        call = partial(manager.call, "get_item", TableName=manager.settings.users_table, Key=NOBODY)
        with request_scope() as scope:
            run_all([call] * 40)
            assert (scope.aws_calls, scope.retries) == (40, 0)
            assert scope.consumed_capacity == 40 * 0.5
            with faulty(manager, answering(500, "InternalServerError")):
                outcomes = run_all([call] * 10)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 10
        assert (scope.aws_calls, scope.retries) == (50, 20)

    def test_tries_are_counted_call_by_call(self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another thread's lost answer must not make this thread's outcome unknown."""
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        put = partial(manager.call, "put_item", TableName=manager.settings.users_table, Item=NOBODY)
        with request_scope() as scope, faulty(manager, answering(500, "InternalServerError"), times=1) as fault:
            run_all([put] * 8)
        assert fault.fired == 1
        assert (scope.aws_calls, scope.retries) == (8, 1)


def test_the_values_of_outcomes_are_in_their_order() -> None:
    assert values_of([]) == []
    assert values_of(run_all([partial(str, number) for number in range(5)])) == ["0", "1", "2", "3", "4"]


def test_the_first_error_among_outcomes_is_raised() -> None:
    first, second = NotFound("the first"), Unavailable("the second")
    with pytest.raises(NotFound) as error:
        values_of(run_all([lambda: 1, failing(first), failing(second)]))
    assert error.value is first


def test_outcomes_are_taken_one_by_one() -> None:
    """So that none is worked out after the one that failed."""
    outcomes: list[int | ApiError] = [1, Unavailable("no"), 3]
    left = iter(outcomes)
    with pytest.raises(Unavailable):
        values_of(left)
    assert list(left) == [3]
