"""Every way that DynamoDB can fail, on every route: the documented status, when to try again, and nothing internal."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain, repeat

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)

from shared.database import DatabaseManager
from shared.database.client import MAX_ATTEMPTS
from shared.database.manager import default_manager
from tests.conftest import ALICE
from tests.support.api import Api
from tests.support.cases import CASES, SIGNED_IN, Case, case_id, every_row, insert
from tests.support.faults import Fault, answering, faulty, garbled, raising
from tests.support.problems import assert_problem

Problem = tuple[int, str]
THROTTLED: Problem = (429, "too-many-requests")
UNAVAILABLE: Problem = (503, "unavailable")
UNKNOWN: Problem = (503, "outcome-unknown")
INTERNAL: Problem = (500, "internal-error")
TOO_LARGE: Problem = (413, "payload-too-large")

URL = "https://dynamodb.us-east-1.amazonaws.com/k9-reports-test"
CAUSE = OSError("arn:aws:dynamodb:us-east-1:123456789012:table/k9-reports-test")


@dataclass(frozen=True)
class Failure:
    """A fault of every try, what a read and a write then answer, and how often the SDK tries."""

    fault: Fault
    read: Problem
    write: Problem
    tries: int = MAX_ATTEMPTS


FAILURES = {
    "throughput": Failure(answering(400, "ProvisionedThroughputExceededException"), THROTTLED, THROTTLED),
    "throttling": Failure(answering(400, "ThrottlingException"), THROTTLED, THROTTLED),
    "throttling by its short name": Failure(answering(400, "Throttling"), THROTTLED, THROTTLED),
    "account limit": Failure(answering(400, "RequestLimitExceeded"), THROTTLED, THROTTLED),
    "internal error": Failure(answering(500, "InternalServerError"), UNAVAILABLE, UNKNOWN),
    "service unavailable": Failure(answering(503, "ServiceUnavailable"), UNAVAILABLE, UNKNOWN),
    "bad gateway": Failure(garbled(502), UNAVAILABLE, UNKNOWN),
    "gateway timeout": Failure(garbled(504, ""), UNAVAILABLE, UNKNOWN),
    "not JSON": Failure(garbled(), UNAVAILABLE, UNKNOWN, tries=1),
    "no JSON object": Failure(garbled(text="[]"), UNAVAILABLE, UNKNOWN, tries=1),
    "cut short": Failure(garbled(text='{"Item": {"id": {"S": "'), UNAVAILABLE, UNKNOWN, tries=1),
    "read timeout": Failure(raising(ReadTimeoutError(endpoint_url=URL, error=CAUSE)), UNAVAILABLE, UNKNOWN),
    "closed connection": Failure(raising(ConnectionClosedError(endpoint_url=URL, error=CAUSE)), UNAVAILABLE, UNKNOWN),
    "broken transport": Failure(raising(HTTPClientError(error=CAUSE)), UNAVAILABLE, UNKNOWN),
    "TLS": Failure(raising(SSLError(endpoint_url=URL, error=CAUSE)), UNAVAILABLE, UNKNOWN),
    "proxy": Failure(raising(ProxyConnectionError(proxy_url=URL, error=CAUSE)), UNAVAILABLE, UNKNOWN),
    "connect timeout": Failure(raising(ConnectTimeoutError(endpoint_url=URL, error=CAUSE)), UNAVAILABLE, UNAVAILABLE),
    "no connection": Failure(raising(EndpointConnectionError(endpoint_url=URL, error=CAUSE)), UNAVAILABLE, UNAVAILABLE),
    "access denied": Failure(answering(400, "AccessDeniedException"), INTERNAL, INTERNAL, tries=1),
    "no table": Failure(answering(400, "ResourceNotFoundException"), INTERNAL, INTERNAL, tries=1),
    "validation": Failure(answering(400, "ValidationException"), INTERNAL, INTERNAL, tries=1),
    "expired credentials": Failure(answering(400, "ExpiredTokenException"), INTERNAL, INTERNAL, tries=1),
    "unheard of": Failure(answering(418, "TeapotException"), INTERNAL, INTERNAL, tries=1),
    "item too large": Failure(
        answering(400, "ValidationException", message="Item size has exceeded the maximum allowed size"),
        TOO_LARGE,
        TOO_LARGE,
        tries=1,
    ),
    "no credentials": Failure(raising(NoCredentialsError()), INTERNAL, INTERNAL, tries=1),
    "no role": Failure(raising(CredentialRetrievalError(provider="x", error_msg=URL)), INTERNAL, INTERNAL, tries=1),
}

FIRST_CALL_READS = {("GET", "/user/profile"), ("POST", "/reports")}
"""Routes that write, but not before a read, which then fails."""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def starts_with_a_read(case: Case) -> bool:
    """Also a merge of preferences reads what it merges into."""
    return not case.writes or case.key in FIRST_CALL_READS or "preferences" in (case.body or {})


@pytest.mark.parametrize("case", SIGNED_IN, ids=case_id)
def test_every_failure_on_every_route(manager: DatabaseManager, alice: Api, case: Case) -> None:
    alice.get("/user/profile")
    insert(ALICE)
    before = every_row(manager)
    for name, failure in FAILURES.items():
        status, slug = failure.read if starts_with_a_read(case) else failure.write
        with faulty(manager, failure.fault) as fault:
            answer = case.send(alice)
        assert fault.fired == failure.tries, name
        assert_problem(answer, status, slug)
        assert every_row(manager) == before, name


@pytest.mark.parametrize(
    "case",
    [CASES["POST", "/reports"].with_body(author="A"), Case("PATCH", "/user/profile", body={"name": "A"})],
    ids=case_id,
)
def test_a_route_that_often_reads_first_and_here_does_not(manager: DatabaseManager, alice: Api, case: Case) -> None:
    for name, failure in FAILURES.items():
        with faulty(manager, failure.fault) as fault:
            answer = case.send(alice)
        assert fault.fired == failure.tries, name
        assert_problem(answer, *failure.write)


@pytest.mark.parametrize("case", SIGNED_IN, ids=case_id)
def test_a_failure_that_passes_is_not_noticed(manager: DatabaseManager, alice: Api, case: Case) -> None:
    insert(ALICE)
    for fault in (answering(400, "ThrottlingException"), answering(500, "InternalServerError")):
        with faulty(manager, fault, times=MAX_ATTEMPTS - 1) as fired:
            answer = case.send(alice)
        assert fired.fired == MAX_ATTEMPTS - 1
        assert answer.status == case.status
        if case.status == 204:
            insert(ALICE)


def test_a_failing_health_check_names_tables_by_subject_alone(manager: DatabaseManager) -> None:
    every = [f"/tables/{subject}" for subject in ("users", "reports", "embeddings")]
    for name, failure in FAILURES.items():
        with faulty(manager, failure.fault) as fault:
            answer = Api().get("/health")
        assert fault.fired, name
        if name in ("no credentials", "no role"):
            assert_problem(answer, 500, "internal-error")
        else:
            assert_problem(answer, 503, "unavailable", pointers=every)


class TestLostAnswers:
    """After a try that may have been applied, whatever the next is told, the write may have happened."""

    @pytest.mark.parametrize("case", [case for case in SIGNED_IN if not starts_with_a_read(case)], ids=case_id)
    def test_any_failure_after_a_lost_answer_is_unknown(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        insert(ALICE)
        lost = raising(ReadTimeoutError(endpoint_url=URL, error=CAUSE))
        for name, failure in FAILURES.items():
            default_manager.cache_clear()  # a client that has retried this often spares the service further retries
            tries = chain([lost], repeat(failure.fault))
            with faulty(default_manager(), partial(_next, tries)) as fault:
                answer = case.send(alice)
            assert fault.fired >= 2, name
            assert_problem(answer, 503, "outcome-unknown")


def _next(tries: Iterator[Fault], request: AWSPreparedRequest) -> AWSResponse:
    return next(tries)(request)
