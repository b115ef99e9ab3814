"""The checker of histories, on histories whose answer is known; and the report that they are compared with."""

import threading
from collections.abc import Collection
from datetime import timedelta

import pytest

from tests.proof.linearizability.checker import Operation, Step, is_linearizable
from tests.proof.linearizability.clock import Clock
from tests.proof.linearizability.findings import findings
from tests.proof.linearizability.history import Call, History, Report, explained, shortest
from tests.proof.linearizability.report import Kind, Request, Row, Seen, answered
from tests.proof.linearizability.scheduler import Scheduler
from tests.proof.outcome import Options

Entry = tuple[int, int | None, str, int]


def write(value: int) -> Step[int]:
    return lambda state: (value,)


def read(value: int) -> Step[int]:
    def step(state: int) -> Collection[int]:
        return (state,) if state == value else ()

    return step


def register(*entries: Entry) -> bool:
    """Whether reads and writes of a register that is 0 at first, each with its times, are an atomic one's."""
    operations = [
        Operation(invoked, ended, [write(value) if verb == "write" else read(value)])
        for invoked, ended, verb, value in entries
    ]
    return is_linearizable(operations, 0)


@pytest.mark.parametrize(
    "entries",
    [
        (),
        ((0, 1, "write", 1), (2, 3, "read", 1)),
        ((0, 5, "write", 1), (1, 2, "read", 0), (3, 4, "read", 1)),
        ((0, 3, "write", 1), (1, 4, "write", 2), (5, 6, "read", 1)),
        ((0, None, "write", 1), (1, 2, "read", 0), (3, 4, "read", 1)),
        ((0, None, "write", 1), (5, 6, "read", 0)),
        ((0, 9, "write", 1), (1, 8, "write", 2), (2, 3, "read", 2), (4, 5, "read", 1)),
    ],
)
def test_an_atomic_register(entries: tuple[Entry, ...]) -> None:
    assert register(*entries)


@pytest.mark.parametrize(
    "entries",
    [
        ((0, 1, "read", 1),),
        ((0, 1, "write", 1), (2, 3, "read", 0)),
        ((0, 5, "write", 1), (1, 2, "read", 1), (3, 4, "read", 0)),
        ((0, 1, "write", 1), (2, 3, "write", 2), (4, 5, "read", 1)),
        ((0, None, "write", 1), (1, 2, "read", 1), (3, 4, "read", 0)),
        ((2, None, "write", 1), (0, 1, "read", 1)),
        ((0, 9, "write", 1), (1, 8, "write", 2), (2, 3, "read", 2), (4, 5, "read", 1), (6, 7, "read", 2)),
    ],
)
def test_no_atomic_register(entries: tuple[Entry, ...]) -> None:
    assert not register(*entries)


def test_steps_of_an_operation_keep_their_order_and_let_others_in_between() -> None:
    changes_and_looks: Operation[int] = Operation(0, 9, [write(1), read(2)])
    assert is_linearizable([changes_and_looks, Operation(1, 2, [write(2)])], 0)
    assert not is_linearizable([changes_and_looks], 0)
    assert not is_linearizable([Operation(10, 11, [write(2)]), changes_and_looks], 0)


def call(client: int, times: tuple[int, int | None], request: Request, seen: Seen | None = None, lost: int = 0) -> Call:
    return Call(client, request, times[0], times[1], seen, lost)


CREATE = call(0, (0, 1), Request(Kind.CREATE, "t", key="k"), Seen(201, None, 1, "t", frozenset()))
PATCH = Request(Kind.PATCH, "mine")
PATCHED = Seen(200, None, 2, "mine", frozenset())


def got(times: tuple[int, int], version: int, title: str) -> Call:
    return call(9, times, Request(Kind.GET), Seen(200, None, version, title, frozenset()))


def test_what_is_refused_happened_to_nobody() -> None:
    for seen in (Seen(503, "unavailable"), Seen(429, "too-many-requests"), Seen(412, "precondition-failed")):
        refused = call(1, (2, 3), Request(Kind.PATCH, "mine", frozenset({9})), seen, lost=1)
        assert explained([CREATE, refused, got((4, 5), 1, "t")])
        assert not explained([CREATE, refused, got((4, 5), 2, "mine")])


def test_what_is_unknown_may_have_happened_once_or_not() -> None:
    for unknown in (call(1, (2, None), PATCH), call(1, (2, 3), PATCH, Seen(503, "outcome-unknown"), lost=3)):
        assert explained([CREATE, unknown, got((4, 5), 1, "t"), got((6, 7), 2, "mine")])
        assert not explained([CREATE, unknown, got((4, 5), 2, "mine"), got((6, 7), 1, "t")])
        assert not explained([CREATE, unknown, got((4, 5), 3, "mine")])


def test_a_retry_may_be_told_of_later_changes_and_a_first_try_may_not() -> None:
    theirs = call(2, (3, 4), Request(Kind.PATCH, "theirs"), Seen(200, None, 3, "theirs", frozenset()))
    told = Seen(200, None, 3, "theirs", frozenset())
    assert explained([CREATE, call(1, (2, 9), PATCH, told, lost=1), theirs])
    assert not explained([CREATE, call(1, (2, 9), PATCH, told), theirs])


def test_a_retry_changes_each_report_once() -> None:
    patched = call(1, (2, 20), PATCH, PATCHED, lost=1)
    gone = call(2, (5, 6), Request(Kind.DELETE), Seen(204))
    again = call(2, (7, 8), CREATE.request, CREATE.seen)
    assert explained([CREATE, patched, got((3, 4), 2, "mine"), gone, again, got((9, 10), 1, "t")])
    assert not explained([CREATE, call(1, (2, 20), PATCH, Seen(200, None, 3, "mine", frozenset()), lost=1)])


def test_a_lost_update_is_shown_with_as_little_as_it_takes() -> None:
    first = call(1, (2, 3), Request(Kind.PATCH, "1", frozenset({1})), Seen(200, None, 2, "1", frozenset()))
    second = call(2, (4, 5), Request(Kind.PATCH, "2", frozenset({1})), Seen(200, None, 3, "2", frozenset()))
    found = shortest([CREATE, got((1, 2), 1, "t"), first, second, got((6, 7), 3, "2")])
    assert found == [CREATE, first, second]
    assert "client 2: patch 2 If-Match 1 -> 200 v3 title 2 {}" in str(found[-1])
    history = History([Report("k", "id", [CREATE, first, second])], is_made_again=True)
    assert "no order explains" in findings(history)[0]


def test_a_later_version_of_an_earlier_time_is_found() -> None:
    assert not findings(History([Report("k", "id", [], [(1, "a"), (2, "b"), (1, "a")])], is_made_again=False))
    for moments in ([(1, "b"), (2, "a")], [(1, "a"), (1, "b")]):
        assert findings(History([Report("k", "id", [], moments)], is_made_again=False))


def test_a_key_is_recognised_among_the_last_four_changes() -> None:
    row: Row | None = answered(CREATE.request, None)[1]
    keyed = Request(Kind.ADD, "p", key="mine")
    _, row = answered(keyed, row)
    for number in range(3):
        _, row = answered(Request(Kind.PATCH, str(number)), row)
        assert answered(keyed, row)[0].version == number + 3
    assert answered(Request(Kind.ADD, "q", key="mine"), row)[0] == Seen(422, "invalid-request")
    _, row = answered(Request(Kind.PATCH, "fourth"), row)
    assert answered(keyed, row)[0].version == 7


def test_the_rules_of_one_client_alone() -> None:
    full = Row(3, "t", frozenset("pq"), (None,), ("k", "t"))
    assert answered(Request(Kind.ADD, "r"), full) == (Seen(409, "conflict"), full)
    assert answered(Request(Kind.ADD, "p"), full) == (Seen(200, None, 3, None, frozenset("pq")), full)
    assert answered(Request(Kind.DELETE, versions=frozenset({2})), full) == (Seen(412, "precondition-failed"), full)
    assert answered(Request(Kind.DELETE), full) == (Seen(204), None)
    assert answered(Request(Kind.PATCH, "x", by_stranger=True), full) == (Seen(404, "not-found"), full)
    assert answered(Request(Kind.CREATE, "other", key="k"), full) == (Seen(422, "invalid-request"), full)
    assert answered(Request(Kind.REPLACE, frozenset("r")), full)[0] == Seen(200, None, 4, None, frozenset("r"))


def interleaved(seed: int) -> str:
    source = Options(True, seed).random("interleaved")
    scheduler, written = Scheduler(source, Clock(), longest_sleep=3), ""
    threads: set[int] = set()

    def work(name: str) -> None:
        nonlocal written
        for _ in range(4):
            threads.add(threading.get_ident())
            written += name
            scheduler.pause() if source.random() < 0.5 else scheduler.sleep()

    scheduler.run([lambda: work("a"), lambda: work("b"), lambda: work("c")])
    assert len(threads) == 3
    return written


def test_a_seed_repeats_an_interleaving_and_another_gives_another() -> None:
    assert sorted(interleaved(1)) == sorted("aaaabbbbcccc")
    assert interleaved(1) == interleaved(1)
    assert len({interleaved(seed) for seed in range(10)}) > 5


def test_what_a_task_raises_is_raised_when_all_are_over() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    scheduler = Scheduler(Options(True, 0).random(), Clock(), longest_sleep=3)
    with pytest.raises(ZeroDivisionError):
        scheduler.run([fail, scheduler.pause])


def test_a_process_may_have_a_clock_of_its_own() -> None:
    clock = Clock()
    before = clock.now()
    clock.skew = timedelta(seconds=5)
    assert clock.now() - before == timedelta(seconds=5)
    clock.skew = timedelta()
    clock.pass_(timedelta(minutes=1))
    assert clock.now() - before == timedelta(minutes=1)
