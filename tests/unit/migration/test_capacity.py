"""The pace of writing, by a clock of the test's own."""

import threading
import time
from collections.abc import Callable

import pytest

from scripts.migration.calls import Caller, GaveUp, Stopped, units_of
from scripts.migration.capacity import AdaptiveConcurrency, CapacityLimit
from scripts.migration.failure import MigrationError
from scripts.migration.interleaving import Window
from shared.errors import OutcomeUnknown, TooManyRequests, Unavailable


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def failing(*errors: Exception) -> Callable[[], str]:
    """Raises these one after the other, then returns."""
    waiting = list(errors)

    def make() -> str:
        if waiting:
            raise waiting.pop(0)
        return "done"

    return make


def caller(clock: Clock, limit: CapacityLimit | None = None, most: int = 8) -> Caller:
    return Caller(limit or CapacityLimit(None), AdaptiveConcurrency(most, clock), sleep=clock.sleep, tries=5)


def test_no_more_units_are_spent_than_the_limit_over_time() -> None:
    clock = Clock()
    limit = CapacityLimit(100, clock, clock.sleep)
    for _ in range(1_000):
        limit.spend(2)
        limit.settle(2, 2)
    assert 2_000 / clock.now <= 100 * 1.06  # the first second's worth is there at once
    assert limit.consumed == 2_000


def test_what_a_call_consumed_in_truth_counts() -> None:
    clock = Clock()
    limit = CapacityLimit(100, clock, clock.sleep)
    for _ in range(500):
        limit.spend(1)
        limit.settle(1, 4)
    assert 2_000 / clock.now <= 110


def test_without_a_limit_nobody_waits() -> None:
    clock = Clock()
    limit = CapacityLimit(None, clock, clock.sleep)
    limit.spend(1e9)
    assert clock.now == 0


def test_a_throttle_halves_the_calls_at_once_and_successes_bring_them_back() -> None:
    clock = Clock()
    concurrency = AdaptiveConcurrency(16, clock)
    concurrency.throttled()
    concurrency.throttled()  # of the same moment
    assert concurrency.limit == 8
    for _ in range(10):
        clock.now += 1
        concurrency.throttled()
    assert concurrency.limit == 1
    for _ in range(200):
        concurrency.succeeded()
    assert concurrency.limit == 16


def test_no_more_calls_run_at_once_than_the_limit() -> None:
    concurrency = AdaptiveConcurrency(2)
    running, most, lock = 0, 0, threading.Lock()
    ready = threading.Barrier(8)

    def work() -> None:
        nonlocal running, most
        ready.wait()
        for _ in range(20):
            with concurrency.slot():
                with lock:
                    running += 1
                    most = max(most, running)
                time.sleep(0.0002)
                with lock:
                    running -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2


@pytest.mark.parametrize("error", [TooManyRequests(), Unavailable("no answer"), OutcomeUnknown()])
def test_a_call_is_made_again_until_it_has_an_answer(error: Exception) -> None:
    clock = Clock()
    assert caller(clock).call(failing(error, error, error), 1, lambda _: 1) == "done"
    assert clock.now > 0


def test_a_call_that_never_has_an_answer_is_given_up() -> None:
    clock = Clock()
    with pytest.raises(GaveUp):
        caller(clock).call(failing(*[TooManyRequests()] * 5), 1, lambda _: 1)


def test_throttles_slow_down_and_what_they_did_not_use_is_given_back() -> None:
    clock = Clock()
    limit = CapacityLimit(10, clock, clock.sleep)
    made = caller(clock, limit)
    made.call(failing(TooManyRequests(), TooManyRequests()), 5, lambda _: 5)
    assert made.concurrency.throttles == 2
    assert limit.consumed == 5


def test_nothing_is_sent_after_a_stop_or_without_the_lock() -> None:
    clock = Clock()
    made = caller(clock)
    made.stopping.set()
    with pytest.raises(Stopped):
        made.call(failing(), 1, lambda _: 1)

    def lost() -> None:
        raise MigrationError("the lock is gone")

    with pytest.raises(MigrationError, match="the lock is gone"):
        Caller(CapacityLimit(None), AdaptiveConcurrency(1), lost).call(failing(), 1, lambda _: 1)


def test_units_of_a_batch_come_table_by_table() -> None:
    assert units_of({"ConsumedCapacity": [{"CapacityUnits": 2.5}, {"CapacityUnits": 1}]}) == 3.5
    assert units_of({"ConsumedCapacity": {"CapacityUnits": 2}}) == 2
    assert units_of({}) == 0


def test_partitions_take_turns_within_the_window() -> None:
    arriving = [(owner, 1, f"{owner}{n}") for owner in "abc" for n in range(3)]
    assert list(Window[str](rows=100).interleaved(arriving)) == ["a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "c2"]


def test_the_window_holds_no_more_than_its_rows_and_bytes() -> None:
    for window in (Window[int](rows=10, size=10**6), Window[int](rows=10**6, size=50)):
        taken, held = 0, []

        def arrive() -> "object":
            nonlocal taken
            for number in range(1_000):
                taken += 1
                yield f"owner-{number % 7}", 5, number

        given = []
        for row in window.interleaved(arrive()):  # type: ignore[arg-type]
            given.append(row)
            held.append(taken - len(given))
        assert sorted(given) == list(range(1_000))
        assert max(held) <= 10
