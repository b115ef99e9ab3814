"""The tries of one call: which may have been applied, and that none is sent after the time it was given."""

import time
from dataclasses import dataclass, field

import pytest
from botocore.exceptions import ReadTimeoutError

from shared.database import DatabaseManager
from shared.database.attempts import Attempts, TooLateToSend
from shared.database.attributes import to_item
from shared.database.client import MAX_ATTEMPTS
from shared.database.failures import ConditionRefused
from shared.errors import ApiError, OutcomeUnknown, TooManyRequests, Unavailable
from shared.scope import request_scope
from tests.support.faults import Fault, answering, faulty, raising

USER = to_item({"user_id": "alice"})


@dataclass
class Clock:
    """Each pause of the SDK takes so many seconds of `time.monotonic()`."""

    pause: float = 1.0
    passed: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.passed += self.pause


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock, monotonic = Clock(), time.monotonic
    monkeypatch.setattr("time.monotonic", lambda: monotonic() + clock.passed)
    monkeypatch.setattr("time.sleep", clock.sleep)
    return clock


def put(manager: DatabaseManager, within: float | None) -> str:
    """What a put comes to whose tries may be sent within so many seconds."""
    send_by = None if within is None else time.monotonic() + within
    try:
        manager.call("put_item", send_by=send_by, TableName=manager.settings.users_table, Item=USER)
    except (ApiError, ConditionRefused) as error:
        return type(error).__name__
    return "done"


def is_there(manager: DatabaseManager) -> bool:
    return "Item" in manager.call("get_item", TableName=manager.settings.users_table, Key=USER)


def test_in_time_it_is_sent(manager: DatabaseManager, clock: Clock) -> None:
    assert put(manager, 5) == "done"
    assert is_there(manager)


def test_a_first_try_that_is_too_late_is_not_sent(manager: DatabaseManager, clock: Clock) -> None:
    with faulty(manager, answering(500, "InternalServerError"), times=0), request_scope() as scope:
        assert put(manager, -0.001) == "Unavailable"
    assert not is_there(manager)
    assert clock.pauses == []
    assert (scope.aws_calls, scope.retries) == (1, 0)


def test_retries_go_on_until_then(manager: DatabaseManager, clock: Clock) -> None:
    with faulty(manager, answering(500, "InternalServerError"), times=2) as fault:
        assert put(manager, 2.5) == "done"
    assert fault.fired == 2
    assert is_there(manager)


LOST: list[Fault] = [
    answering(500, "InternalServerError"),
    raising(ReadTimeoutError(endpoint_url="https://dynamodb.us-east-1.amazonaws.com")),
]


@pytest.mark.parametrize("fault", LOST, ids=["500", "timeout"])
@pytest.mark.parametrize(("within", "tries"), [(0.5, 1), (1.5, 2), (9.0, MAX_ATTEMPTS)])
def test_after_a_try_that_may_have_been_applied_the_outcome_is_unknown(
    manager: DatabaseManager, clock: Clock, fault: Fault, within: float, tries: int
) -> None:
    with faulty(manager, fault) as met:
        assert put(manager, within) == "OutcomeUnknown"
    assert met.fired == tries


@pytest.mark.parametrize(("within", "tries", "outcome"), [(0.5, 1, "Unavailable"), (9.0, 3, "TooManyRequests")])
def test_after_throttled_tries_nothing_was_changed(
    manager: DatabaseManager, clock: Clock, within: float, tries: int, outcome: str
) -> None:
    with faulty(manager, answering(400, "ThrottlingException")) as fault:
        assert put(manager, within) == outcome
    assert fault.fired == tries


def test_a_read_that_is_too_late_is_unavailable(manager: DatabaseManager, clock: Clock) -> None:
    with faulty(manager, answering(500, "InternalServerError")) as fault, pytest.raises(Unavailable) as refused:
        manager.call("get_item", send_by=time.monotonic() + 0.5, TableName=manager.settings.users_table, Key=USER)
    assert fault.fired == 1
    assert type(refused.value) is Unavailable
    assert isinstance(refused.value.__cause__, TooLateToSend)


def test_without_a_time_every_try_is_sent(manager: DatabaseManager, clock: Clock) -> None:
    clock.pause = 3600
    with faulty(manager, answering(400, "ThrottlingException")) as fault:
        assert put(manager, None) == "TooManyRequests"
    assert fault.fired == MAX_ATTEMPTS


def test_the_time_of_one_call_is_not_the_next_ones(manager: DatabaseManager, clock: Clock) -> None:
    assert put(manager, -1) == "Unavailable"
    assert put(manager, None) == "done"


def test_a_refusal_after_a_lost_answer_says_so(manager: DatabaseManager, clock: Clock) -> None:
    assert put(manager, None) == "done"
    for fault, may_have_been_applied in (
        (answering(500, "InternalServerError"), True),
        (answering(400, "ThrottlingException"), False),
    ):
        with faulty(manager, fault, times=1), pytest.raises(ConditionRefused) as refused:
            manager.call(
                "put_item",
                TableName=manager.settings.users_table,
                Item=USER,
                ConditionExpression="attribute_not_exists(user_id)",
            )
        assert refused.value.may_have_been_applied is may_have_been_applied


def test_a_new_account_has_nothing_on_it() -> None:
    assert not Attempts().may_have_been_applied
    assert Attempts(made=3, ambiguous=1).may_have_been_applied
    assert not Attempts(made=3).may_have_been_applied


def test_both_answers_say_when_to_try_again() -> None:
    for error in (Unavailable("Down."), OutcomeUnknown(), TooManyRequests()):
        assert error.headers["Retry-After"]
