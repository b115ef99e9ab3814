"""The right to build a snapshot: one builder has it at a time, and one that died keeps others waiting for a minute."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import ApiError, OutcomeUnknown, TooManyRequests, Unavailable
from shared.models.fields import timestamp
from shared.similarity.lease import DURATION, Lease, Taken, take_lease
from tests.support.object_store import MemoryObjects

OWNER, MODEL = "alice", "v1"
KEY = "similarity/alice/v1/building.json"
MOMENT = timedelta(microseconds=1)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def objects(clock: Clock) -> MemoryObjects:
    return MemoryObjects(clock)


def take(objects: MemoryObjects, clock: Clock, *, is_full: bool = False) -> Lease | None:
    lease = take_lease(objects, OWNER, MODEL, is_full=is_full, clock=clock)
    return lease if isinstance(lease, Lease) else None


def taken(objects: MemoryObjects, clock: Clock, *, is_full: bool = False) -> Lease:
    lease = take(objects, clock, is_full=is_full)
    assert lease
    return lease


def raising(error: Exception) -> Callable[[str, str], None]:
    def fail(operation: str, key: str) -> None:
        raise error

    return fail


def until(objects: MemoryObjects) -> str:
    return str(json.loads(objects.bodies[KEY])["until"])


def test_while_one_has_it_nobody_else_does(objects: MemoryObjects, clock: Clock) -> None:
    taken(objects, clock)
    assert until(objects) == timestamp(clock.now + DURATION)
    for _ in range(3):
        assert take(objects, clock) is None
        clock.now += DURATION / 3 - MOMENT
    assert take(objects, clock) is None


def test_each_model_version_has_its_own(objects: MemoryObjects, clock: Clock) -> None:
    places = [(OWNER, MODEL), ("bob", MODEL), (OWNER, "v2"), (OWNER, "v1/v2")]
    for kind in (Lease, Taken):
        leases = [take_lease(objects, *place, is_full=False, clock=clock) for place in places]
        assert {type(lease) for lease in leases} == {kind}


def test_once_it_is_released_another_may_have_it(objects: MemoryObjects, clock: Clock) -> None:
    for _ in range(3):
        taken(objects, clock).release()
        assert objects.bodies == {}


def test_one_whose_builder_died_has_run_out_after_a_minute(objects: MemoryObjects, clock: Clock) -> None:
    taken(objects, clock)
    clock.now += timedelta(seconds=60) - MOMENT
    assert take(objects, clock) is None
    clock.now += MOMENT
    taken(objects, clock)
    assert until(objects) == timestamp(clock.now + DURATION)
    assert take(objects, clock) is None


def test_renewed_it_is_kept_for_as_long_as_a_build_takes(objects: MemoryObjects, clock: Clock) -> None:
    lease, puts = taken(objects, clock), list[str]()
    objects.before = lambda operation, key: puts.append(operation) if operation == "put" else None
    for _ in range(900):
        clock.now += timedelta(seconds=1)
        lease.renew()
        assert take(objects, clock) is None
    assert len(puts) == 900 // 30
    lease.release()
    taken(objects, clock)


def test_it_is_renewed_no_sooner_than_at_half_time(objects: MemoryObjects, clock: Clock) -> None:
    lease = taken(objects, clock)
    first = until(objects)
    clock.now += DURATION / 2 - MOMENT
    lease.renew()
    assert until(objects) == first
    clock.now += MOMENT
    lease.renew()
    assert until(objects) == timestamp(clock.now + DURATION)


def test_one_that_has_run_out_and_that_nobody_has_taken_can_be_renewed(objects: MemoryObjects, clock: Clock) -> None:
    lease = taken(objects, clock)
    clock.now += 2 * DURATION
    lease.renew()
    assert take(objects, clock) is None
    lease.release()
    taken(objects, clock)


def test_one_that_another_has_taken_over_is_left_to_them(objects: MemoryObjects, clock: Clock) -> None:
    slow = taken(objects, clock)
    clock.now += DURATION
    quick = taken(objects, clock)
    theirs = objects.bodies[KEY]
    for _ in range(3):
        slow.renew()
        assert objects.bodies[KEY] == theirs
        clock.now += DURATION / 6
    slow.release()
    assert objects.bodies[KEY] == theirs
    clock.now += DURATION / 6
    quick.renew()
    assert until(objects) == timestamp(clock.now + DURATION)
    quick.release()
    assert objects.bodies == {}


def test_one_that_was_released_by_who_took_it_over_is_not_made_again(objects: MemoryObjects, clock: Clock) -> None:
    slow = taken(objects, clock)
    clock.now += DURATION
    taken(objects, clock).release()
    slow.renew()
    assert objects.bodies == {}
    slow.release()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"until":"2030-01-01T00:00:30.000000Z"}',
        b"null",
        b"[]",
        b"7",
        b"{}",
        b'{"until":null}',
        b'{"until":7}',
        b'{"until":"2030","full":true}',
        b"\xff",
        b'"until"',
    ],
)
def test_what_is_damaged_has_run_out(objects: MemoryObjects, clock: Clock, body: bytes) -> None:
    objects.put(KEY, body)
    lease = taken(objects, clock)
    assert take(objects, clock) is None
    lease.release()
    assert objects.bodies == {}


@pytest.mark.parametrize("is_full", [False, True])
def test_who_is_refused_is_told_what_is_being_built(objects: MemoryObjects, clock: Clock, is_full: bool) -> None:
    lease = taken(objects, clock, is_full=is_full)
    for wanted in (False, True):
        assert take_lease(objects, OWNER, MODEL, is_full=wanted, clock=clock) == Taken(is_full)
    clock.now += DURATION / 2
    lease.renew()
    assert take_lease(objects, OWNER, MODEL, is_full=False, clock=clock) == Taken(is_full)


def test_one_of_a_clock_that_was_wrong_holds_nobody_off(objects: MemoryObjects, clock: Clock) -> None:
    clock.now += timedelta(days=1)
    taken(objects, clock)
    clock.now -= timedelta(days=1)
    lease = taken(objects, clock)
    assert take(objects, clock) is None
    lease.release()
    assert objects.bodies == {}


@pytest.mark.parametrize("error", [Unavailable("no answer"), TooManyRequests(), OutcomeUnknown()])
def test_where_it_cannot_be_renewed_the_next_check_tries_again(
    objects: MemoryObjects, clock: Clock, error: ApiError
) -> None:
    lease = taken(objects, clock)
    clock.now += DURATION / 2
    objects.before = raising(error)
    lease.renew()
    objects.before = lambda operation, key: None
    clock.now += timedelta(seconds=1)
    lease.renew()
    assert until(objects) == timestamp(clock.now + DURATION)


def test_where_it_cannot_be_released_it_ends_by_itself(objects: MemoryObjects, clock: Clock) -> None:
    lease = taken(objects, clock)
    objects.before = raising(Unavailable("no answer"))
    lease.release()
    objects.before = lambda operation, key: None
    assert take(objects, clock) is None
    clock.now += DURATION
    taken(objects, clock)


def test_who_stood_still_does_not_release_what_another_has(objects: MemoryObjects, clock: Clock) -> None:
    slow = taken(objects, clock)
    clock.now += DURATION
    taken(objects, clock)
    slow.release()
    assert take(objects, clock) is None


def test_a_full_one_that_loses_a_race_is_not_told_that_a_full_one_is_built(
    objects: MemoryObjects, clock: Clock
) -> None:
    def come_between(operation: str, key: str) -> None:
        if operation == "put":
            objects.before = lambda operation, key: None
            taken(objects, clock)

    objects.before = come_between
    assert take_lease(objects, OWNER, MODEL, is_full=True, clock=clock) == Taken(is_full=False)


@pytest.mark.parametrize("before", [None, "run out", "damaged"])
def test_of_two_that_take_it_at_once_one_has_it(objects: MemoryObjects, clock: Clock, before: str | None) -> None:
    if before:
        taken(objects, clock)
        clock.now += DURATION
    if before == "damaged":
        objects.put(KEY, b"{")
    rivals: list[Lease | None] = []

    def come_between(operation: str, key: str) -> None:
        if operation == "put":
            objects.before = lambda operation, key: None
            clock.now += MOMENT
            rivals.append(take(objects, clock))

    objects.before = come_between
    assert take(objects, clock) is None
    (rival,) = rivals
    assert rival
    rival.release()
    assert objects.bodies == {}


def test_of_many_threads_one_has_it(objects: MemoryObjects) -> None:
    workers = 8
    barrier, lock = threading.Barrier(workers), threading.Lock()
    put = objects.put

    def put_alone(*arguments: object, **options: object) -> str:
        with lock:
            return put(*arguments, **options)  # type: ignore[arg-type]

    def work(_: int) -> Lease | Taken:
        barrier.wait(10)
        return take_lease(objects, OWNER, MODEL, is_full=False)

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(workers) as pool:
        patch.setattr(objects, "put", put_alone)
        leases = list(pool.map(work, range(workers)))
    assert sum(isinstance(lease, Lease) for lease in leases) == 1


def test_a_store_that_does_not_answer_gives_none(objects: MemoryObjects, clock: Clock) -> None:
    objects.before = raising(Unavailable("S3 does not answer."))
    with pytest.raises(Unavailable):
        take(objects, clock)
    assert objects.bodies == {}
