"""Asking for snapshots: once a minute for each model version and kind, and never at the expense of who asks."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from shared.config import ConfigurationError
from shared.errors import TooManyRequests, Unavailable
from shared.models.fields import now
from shared.similarity import asking
from shared.similarity.asking import ASK_AGAIN_SECONDS, Asker, default_asker
from tests.support.logs import Logged
from tests.support.logs import logged as logged

KEY = ("alice", "v1")


class Ticks:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Ticks:
    return Ticks()


@pytest.fixture
def asker(clock: Ticks) -> Asker:
    return Asker(clock)


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the worker was asked for."""
    tasks: list[dict[str, Any]] = []
    monkeypatch.setattr(asking, "request_task", tasks.append)
    return tasks


def kinds(asked: list[dict[str, Any]]) -> list[bool]:
    return [task["full"] for task in asked]


@pytest.mark.parametrize("full", [False, True])
def test_a_task_says_when_it_was_asked_for(asker: Asker, asked: list[dict[str, Any]], full: bool) -> None:
    before = now()
    asker.ask(KEY, full=full)
    (task,) = asked
    assert before <= task.pop("asked_at") <= now()
    assert task == {"task": "snapshot", "owner": "alice", "model_version": "v1", "full": full}


@pytest.mark.parametrize("full", [False, True])
def test_one_kind_is_asked_for_once_a_minute(
    asker: Asker, clock: Ticks, asked: list[dict[str, Any]], full: bool
) -> None:
    for seconds in range(3 * int(ASK_AGAIN_SECONDS)):
        clock.now = 1000.0 + seconds
        asker.ask(KEY, full=full)
        assert asker.was_asked(KEY)
        assert kinds(asked) == [full] * (1 + seconds // 60)


def test_a_full_one_is_asked_for_whatever_was_asked_before(asker: Asker, asked: list[dict[str, Any]]) -> None:
    for full in (False, True, False, True, False):
        asker.ask(KEY, full=full)
    assert kinds(asked) == [False, True]


def test_a_full_one_holds_back_an_ordinary_one(asker: Asker, clock: Ticks, asked: list[dict[str, Any]]) -> None:
    asker.ask(KEY)
    clock.now += 30
    asker.ask(KEY, full=True)
    clock.now += 59
    asker.ask(KEY)
    assert kinds(asked) == [False, True]
    clock.now += 1
    asker.ask(KEY)
    assert kinds(asked) == [False, True, False]


def test_ordinary_ones_that_are_asked_for_all_the_time_never_hold_back_a_full_one(
    asker: Asker, clock: Ticks, asked: list[dict[str, Any]]
) -> None:
    for _ in range(600):
        clock.now += 1
        asker.ask(KEY)
        if clock.now % 60 == 30:
            asker.ask(KEY, full=True)
    assert kinds(asked).count(True) == 10


def test_others_are_asked_for_on_their_own(asker: Asker, asked: list[dict[str, Any]]) -> None:
    keys = [KEY, ("bob", "v1"), ("alice", "v2"), ("alicev", "1")]
    for key in keys * 2:
        assert asker.was_asked(key) == (len(asked) == len(keys))
        asker.ask(key)
    assert [(task["owner"], task["model_version"]) for task in asked] == keys


def test_a_clock_that_was_set_back_holds_nothing_back(asker: Asker, clock: Ticks, asked: list[dict[str, Any]]) -> None:
    for full in (False, True):
        asker.ask(KEY, full=full)
    clock.now -= 0.5
    assert not asker.was_asked(KEY)
    for full in (False, True):
        asker.ask(KEY, full=full)
    assert kinds(asked) == [False, True] * 2


def test_what_is_remembered_is_bounded(
    asker: Asker, clock: Ticks, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_MAX_REMEMBERED", 10)
    for number in range(300):
        clock.now += ASK_AGAIN_SECONDS / 5
        asker.ask(("alice", f"v{number}"), full=number % 2 == 0)
        assert len(asker._asked) <= 10
        for recent in range(max(0, number - 4), number + 1):
            assert asker.was_asked(("alice", f"v{recent}"))
    assert len(asked) == 300


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("no worker"),
        TooManyRequests(),
        ClientError({"Error": {"Code": "AccessDeniedException", "Message": "secret"}}, "Invoke"),
        NoCredentialsError(),
        ConfigurationError("WORKER_FUNCTION"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_where_nobody_can_be_asked_that_is_logged_once_a_minute(
    asker: Asker, clock: Ticks, logged: Logged, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(task: object) -> None:
        raise error

    monkeypatch.setattr(asking, "request_task", fail)
    for _ in range(3):
        asker.ask(KEY)
    (record,) = logged.records()
    assert (record["level"], record["exception"]) == ("WARNING", type(error).__name__)
    assert "secret" not in logged.text
    clock.now += ASK_AGAIN_SECONDS
    asker.ask(KEY)
    assert len(logged.records()) == 2


def test_an_error_of_our_own_is_not_hidden(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(task: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(asking, "request_task", fail)
    with pytest.raises(KeyError):
        asker.ask(KEY)


def test_of_many_threads_one_asks(asker: Asker, asked: list[dict[str, Any]]) -> None:
    barrier = threading.Barrier(16)

    def ask(number: int) -> None:
        barrier.wait(10)
        asker.ask(KEY, full=number % 2 == 0)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(ask, range(16)))
    assert kinds(asked) in ([True], [False, True])


def test_the_process_has_one() -> None:
    assert default_asker() is default_asker()
