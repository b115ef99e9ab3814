"""One JSON line a request: the log entry and its metrics, and nothing that a person wrote."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from shared.database import DatabaseManager
from shared.scope import Scope
from shared.telemetry import describe_failure, digest, get_logger, log_request, log_warning
from tests.support.api import Api
from tests.support.faults import answering, faulty
from tests.support.logs import Logged
from tests.support.logs import logged as logged

ALWAYS = {"route", "status", "milliseconds", "request_id", "caller", "aws_calls", "retries", "consumed_capacity"}
"""What the line of every signed-in request holds; an open route has no caller."""


def assert_embedded_metrics(record: dict[str, Any]) -> list[str]:
    """That `record` is valid CloudWatch EMF (specification: "Embedded metric format"); returns the metrics' names."""
    assert isinstance(record["_aws"]["Timestamp"], int)
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    assert directive.keys() == {"Namespace", "Dimensions", "Metrics"}
    assert directive["Namespace"] == "K9"
    (dimensions,) = directive["Dimensions"]
    assert sorted(dimensions) == ["route", "service"]
    assert all(isinstance(record[name], str) and record[name] for name in dimensions)
    for metric in directive["Metrics"]:
        assert metric["Unit"] in ("Count", "Milliseconds")
        values = record[metric["Name"]]
        assert all(isinstance(value, int | float) for value in (values if isinstance(values, list) else [values]))
    return [metric["Name"] for metric in directive["Metrics"]]


def line(logged: Logged, **given: Any) -> dict[str, Any]:
    """The record of one request as `log_request` writes it."""
    defaults: dict[str, Any] = {
        "route": "GET /reports",
        "status": 200,
        "milliseconds": 12.34567,
        "request_id": "r-1",
        "caller": "0123456789abcdef",
        "scope": Scope(aws_calls=2, retries=1, consumed_capacity=1.5),
        "details": {},
    }
    log_request(**{**defaults, **given})
    (record,) = logged.records()
    return record


def value(record: dict[str, Any], metric: str) -> float:
    """A metric's value: the format allows a number or a list of them."""
    stated = record[metric]
    (number,) = stated if isinstance(stated, list) else [stated]
    return float(number)


def test_the_line_of_a_request(logged: Logged) -> None:
    record = line(logged)
    expected = {
        "level": "INFO",
        "service": "k9-api",
        "route": "GET /reports",
        "status": 200,
        "request_id": "r-1",
        "caller": "0123456789abcdef",
        "aws_calls": 2,
        "retries": 1,
    }
    assert {name: record[name] for name in expected} == expected
    metrics = {"requests": 1, "milliseconds": 12.346, "consumed_capacity": 1.5}
    assert {name: value(record, name) for name in metrics} == metrics


def test_its_metrics(logged: Logged) -> None:
    assert assert_embedded_metrics(line(logged)) == ["requests", "milliseconds", "consumed_capacity"]


@pytest.mark.parametrize(
    ("status", "counted", "level"),
    [
        (401, ["auth_failures"], "INFO"),
        (404, [], "INFO"),
        (429, ["throttles"], "INFO"),
        (499, [], "INFO"),
        (500, ["faults"], "ERROR"),
        (503, ["faults"], "ERROR"),
    ],
)
def test_what_alarms_watch(logged: Logged, status: int, counted: list[str], level: str) -> None:
    record = line(logged, status=status)
    assert assert_embedded_metrics(record)[3:] == counted
    assert record["level"] == level


def test_details_are_members_of_the_line(logged: Logged) -> None:
    assert line(logged, status=401, details={"problem": "unauthenticated", "reason": "expired"}).items() >= {
        ("problem", "unauthenticated"),
        ("reason", "expired"),
    }


def test_a_warning_is_a_line_without_metrics(logged: Logged) -> None:
    log_warning("a snapshot could not be read", owner="abc", rows=3)
    (record,) = logged.records()
    assert record.pop("timestamp")
    assert record == {
        "level": "WARNING",
        "service": "k9-api",
        "message": "a snapshot could not be read",
        "owner": "abc",
        "rows": 3,
    }


def test_one_line_per_request_of_the_api(alice: Api, logged: Logged) -> None:
    answers = [
        alice.post("/reports", {"title": "T"}),
        alice.get("/reports"),
        alice.get("/reports/none"),
        Api().get("/health"),
    ]
    assert [answer.status for answer in answers] == [201, 200, 404, 200]
    records = logged.records()
    assert [record["status"] for record in records] == [201, 200, 404, 200]
    assert [record["route"] for record in records] == [
        "POST /reports",
        "GET /reports",
        "GET /reports/{report_id}",
        "GET /health",
    ]
    assert [record["request_id"] for record in records] == [answer.headers["X-Request-Id"] for answer in answers]
    for record in records:
        assert_embedded_metrics(record)
        assert record.keys() >= (ALWAYS - {"caller"} if record["route"] == "GET /health" else ALWAYS)
        assert value(record, "consumed_capacity") > 0
    assert [record["aws_calls"] for record in records] == [2, 1, 1, 3]


def test_retries_are_told(
    alice: Api, manager: DatabaseManager, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with faulty(manager, answering(400, "ThrottlingException"), times=2) as fault:
        assert alice.get("/reports").status == 200
    assert fault.fired == 2
    (record,) = logged.records()
    assert (record["aws_calls"], record["retries"]) == (1, 2)


def test_the_caller_is_a_digest(alice: Api, bob: Api, logged: Logged) -> None:
    for user in (alice, alice, bob):
        user.get("/reports")
    first, again, other = [record["caller"] for record in logged.records()]
    assert first == again != other
    assert first == digest("11111111-1111-4111-8111-111111111111")
    assert len(first) == 16
    assert "11111111" not in logged.text


def test_a_digest_takes_any_text() -> None:
    assert len({digest(text) for text in ("", "a", "\ud800", "é")}) == 4


class TestFailures:
    def test_type_and_place_but_no_message(self) -> None:
        try:
            try:
                {"k": 1}["canary-inner"]
            except KeyError as inner:
                raise ValueError("canary-outer") from inner
        except ValueError as error:
            described = describe_failure(error)
        assert described["exception"] == ["ValueError", "KeyError"]
        assert described["error_code"] is None
        assert described["stack"][-1].endswith("test_type_and_place_but_no_message")
        assert "test_telemetry.py:" in described["stack"][-1]
        assert "canary" not in json.dumps(described)

    def test_the_code_of_an_aws_error_anywhere_in_the_chain(self) -> None:
        cause = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "canary"}}, "GetItem")
        error = RuntimeError("canary")
        error.__cause__ = cause
        described = describe_failure(error)
        assert described["error_code"] == "AccessDeniedException"
        assert "canary" not in json.dumps(described)

    def test_an_implicit_cause_counts(self) -> None:
        error = RuntimeError()
        error.__context__ = LookupError()
        assert describe_failure(error)["exception"] == ["RuntimeError", "LookupError"]

    def test_a_circle_of_causes_ends(self) -> None:
        one, other = RuntimeError(), LookupError()
        one.__cause__, other.__cause__ = other, one
        assert describe_failure(one)["exception"] == ["RuntimeError", "LookupError"]

    def test_a_response_that_is_no_aws_answer(self) -> None:
        error = RuntimeError()
        error.response = "text"  # type: ignore[attr-defined]
        assert describe_failure(error)["error_code"] is None


def test_one_logger_per_process() -> None:
    assert get_logger() is get_logger()


def test_a_request_for_anothers_row_is_counted_and_one_for_a_missing_row_is_not(
    manager: DatabaseManager, alice: Api, bob: Api, logged: Logged
) -> None:
    """The answers are the same; the log, from which an alarm is made, tells them apart."""
    path = bob.post("/reports", {"title": "Bob's"}).headers["Location"]
    requests = [("GET", None), ("PATCH", {"title": "Mine"}), ("DELETE", None)]
    for method, body in requests:
        assert alice.request(method, path, body).status == 404
        assert alice.request(method, "/reports/none", body).status == 404
        assert bob.get(path).status == 200
    counted = [record.get("ownership_refusals") for record in logged.records()[1:]]
    assert counted == [1, None, None] * len(requests)
