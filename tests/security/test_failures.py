"""Every way that DynamoDB and S3 can fail, on every route: the documented status, when to try again, no internals."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain, count, repeat
from typing import Any

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
from moto.core.models import botocore_stubber

from shared.database import DatabaseManager, EmbeddingRepository, ReportRepository
from shared.database.client import MAX_ATTEMPTS
from shared.database.manager import default_manager
from shared.errors import NotFound
from shared.similarity import matrix
from shared.similarity.cache import default_cache
from shared.similarity.objects import default_objects
from tests.conftest import ALICE
from tests.support.api import Answer, Api
from tests.support.cases import (
    ACCOUNTS,
    CASES,
    EMBEDDINGS,
    MODEL,
    NEW_PRODUCT,
    OTHER_PRODUCT,
    PRODUCT,
    REPORT,
    SIGNED_IN,
    Case,
    case_id,
    embed,
    every_object,
    every_row,
    insert,
    prepare,
)
from tests.support.faults import Fault, all_faulty, answering, answering_as_s3, faulty, garbled, raising, recorded
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

S3_URL = "https://k9-similarity-test-123456789012.s3.amazonaws.com/similarity/"
S3_FAILURES = {
    "slow down": Failure(answering_as_s3(503, "SlowDown"), THROTTLED, THROTTLED),
    "account limit": Failure(answering_as_s3(400, "RequestLimitExceeded"), THROTTLED, THROTTLED),
    "internal error": Failure(answering_as_s3(500, "InternalError"), UNAVAILABLE, UNKNOWN),
    "service unavailable": Failure(answering_as_s3(503, "ServiceUnavailable"), UNAVAILABLE, UNKNOWN),
    "bad gateway": Failure(garbled(502), UNAVAILABLE, UNKNOWN),
    "no ETag": Failure(garbled(200, ""), UNAVAILABLE, UNKNOWN),
    "read timeout": Failure(raising(ReadTimeoutError(endpoint_url=S3_URL, error=CAUSE)), UNAVAILABLE, UNKNOWN),
    "closed connection": Failure(
        raising(ConnectionClosedError(endpoint_url=S3_URL, error=CAUSE)), UNAVAILABLE, UNKNOWN
    ),
    "TLS": Failure(raising(SSLError(endpoint_url=S3_URL, error=CAUSE)), UNAVAILABLE, UNKNOWN),
    "connect timeout": Failure(
        raising(ConnectTimeoutError(endpoint_url=S3_URL, error=CAUSE)), UNAVAILABLE, UNAVAILABLE
    ),
    "no connection": Failure(
        raising(EndpointConnectionError(endpoint_url=S3_URL, error=CAUSE)), UNAVAILABLE, UNAVAILABLE
    ),
    "access denied": Failure(answering_as_s3(403, "AccessDenied"), INTERNAL, INTERNAL),
    "no bucket": Failure(answering_as_s3(404, "NoSuchBucket"), INTERNAL, INTERNAL),
    "expired credentials": Failure(answering_as_s3(400, "ExpiredToken"), INTERNAL, INTERNAL),
    "unheard of": Failure(answering_as_s3(418, "Teapot"), INTERNAL, INTERNAL),
    "no credentials": Failure(raising(NoCredentialsError()), INTERNAL, INTERNAL),
}
READS = {"GetItem", "BatchGetItem", "Query", "GetObject", "ListObjectsV2"}
OF_S3 = {"GetObject", "PutObject", "ListObjectsV2", "DeleteObjects"}
OTHERS = [case for case in SIGNED_IN if case not in (*EMBEDDINGS, *ACCOUNTS)]

FIRST_CALL_READS = {("GET", "/user/profile"), ("POST", "/user/avatar"), ("POST", "/reports")}
"""Routes that write, but not before a read, which then fails."""


PERHAPS_SETTLED = {(method, "/reports/{report_id}/favorites/{product_id}") for method in ("PUT", "DELETE")}
"""Routes that write nothing where the row is as they want it; which is told only where no lost try can change it."""

WRITES_AT_ONCE = [CASES[method, "/embeddings/{product_id}"] for method in ("PATCH", "DELETE")]
"""Routes of embeddings whose one call is the write."""


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("shared.database.parallel._THROTTLED_FOR_SECONDS", 0)


@pytest.fixture
def no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the worker calls is not the request's."""
    monkeypatch.setattr("handlers.embeddings.build_matrix.request_task", lambda task: None)


def starts_with_a_read(case: Case) -> bool:
    """Also a merge of preferences reads what it merges into."""
    return not case.writes or case.key in FIRST_CALL_READS or "preferences" in (case.body or {})


@pytest.mark.parametrize("case", OTHERS, ids=case_id)
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


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("case", EMBEDDINGS, ids=case_id)
def test_every_failure_of_every_call_for_embeddings(manager: DatabaseManager, alice: Api, case: Case) -> None:
    """The first call fails, or the first succeeds and the second fails, and so on; the process has read nothing."""
    prepare(ALICE)
    if case.path == "/embeddings/delete":
        EmbeddingRepository.delete_embedding(OTHER_PRODUCT, ALICE, MODEL)  # else one of two rows may go
    before = every_row(manager), every_object()
    failed: list[str] = []
    for calls in count():
        answer, operation = after(calls, alice, case, garbled(502), garbled(502))
        if operation is None:
            break
        assert (every_row(manager), every_object()) == before, operation
        failures = S3_FAILURES if operation in OF_S3 else FAILURES
        for name, failure in failures.items() if operation not in failed else ():
            answer, met = after(calls, alice, case, failure.fault, failure.fault)
            assert met == operation, name
            assert_failed(case, answer, operation, *(failure.read if operation in READS else failure.write))
        failed.append(operation)
        assert (every_row(manager), every_object()) == before
    assert answer.status == case.status
    assert failed


@pytest.mark.parametrize("case", ACCOUNTS, ids=case_id)
def test_every_failure_of_every_call_about_accounts(
    manager: DatabaseManager, alice: Api, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a call fails, nothing is asked for: a marker that is left behind is of nothing."""
    monkeypatch.setattr("handlers.users.accounts.request_task", lambda task: None)
    state = CASES["GET", "/user/export" if case.path == "/user/export" else "/user/erasure"]
    failed: list[str] = []
    for calls in count():
        for name, failure in S3_FAILURES.items():
            answer, operation = after(calls, alice, case, failure.fault, failure.fault)
            if operation is None:
                break
            # The marker is put on no condition, so that it may be put again at any time.
            is_write = operation == "PutObject" and "PutObject" in failed
            assert_problem(answer, *(failure.write if is_write else failure.read))
            assert state.send(alice).json()["state"] == "absent", name
        if operation is None:
            break
        failed.append(operation)
    assert answer.status == case.status
    assert failed == ["GetObject", "PutObject", "PutObject"][: 3 if case.writes else 1]


def after(calls: int, api: Api, case: Case, of_dynamodb: Fault, of_s3: Fault) -> tuple[Answer, str | None]:
    """The answer where everything after so many calls fails, and the call that failed first."""
    default_manager.cache_clear()  # a client that has retried this often spares the service further retries
    default_objects.cache_clear()
    default_cache.cache_clear()
    matrix._process_tables._tables.clear()
    sources: Any = default_manager(), default_objects()
    with recorded(*sources) as operations, all_faulty(of_dynamodb, of_s3, *sources, after=calls) as fault:
        answer = case.send(api)
    return answer, operations[calls] if fault.fired else None


def assert_failed(case: Case, answer: Answer, operation: str, status: int, slug: str) -> None:
    """A batch tells the failure of an item as the item's, unless it is a defect; a delete by filter goes on past a row
    that can never be written; a list of model versions leaves out a number that it cannot have."""
    if case.path == "/embeddings/batch" and answer.status == 200:
        (result,) = answer.json()["results"]
        assert (result["status"], result["problem"]) == (status, slug)
        assert status != 500
        assert "arn:" not in answer.text
    elif case.path == "/embeddings/delete" and status == 413 and answer.status == 200:
        assert (answer.json()["matched"], answer.json()["deleted"]) == (1, 0)
    elif case.path == "/embeddings/models" and operation in OF_S3 and status != 500:
        assert answer.status == 200
        assert [model["count"] for model in answer.json()["models"]] == [None]
    else:
        assert_problem(answer, status, slug)


@pytest.mark.usefixtures("no_worker")
@pytest.mark.parametrize("case", EMBEDDINGS, ids=case_id)
def test_a_failure_of_one_call_for_embeddings_that_passes_is_not_noticed(
    manager: DatabaseManager, alice: Api, case: Case
) -> None:
    prepare(ALICE)
    objects = default_objects()
    tries: list[tuple[Any, Fault]] = [
        (manager, answering(400, "ThrottlingException")),
        (manager, answering(500, "InternalServerError")),
        (objects, answering_as_s3(503, "SlowDown")),
        (objects, answering_as_s3(500, "InternalError")),
    ]
    for source, fault in tries:
        with faulty(source, fault, times=MAX_ATTEMPTS - 1):
            answer = case.send(alice)
        assert answer.status == case.status
        if case.path == "/embeddings/batch":
            assert answer.json()["results"][0]["status"] == 201
        if case.writes:
            again()


def again() -> None:
    """What a route needs to succeed once more."""
    embed(ALICE)
    default_objects().delete([key for key in every_object() if key.endswith("status.json")])
    with suppress(NotFound):
        EmbeddingRepository.delete_embedding(NEW_PRODUCT, ALICE, MODEL)


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


@pytest.mark.parametrize("case", OTHERS, ids=case_id)
def test_a_failure_that_passes_is_not_noticed(manager: DatabaseManager, alice: Api, case: Case) -> None:
    insert(ALICE)
    for fault in (answering(400, "ThrottlingException"), answering(500, "InternalServerError")):
        with faulty(manager, fault, times=MAX_ATTEMPTS - 1) as fired:
            answer = case.send(alice)
        assert fired.fired == MAX_ATTEMPTS - 1
        assert answer.status == case.status
        if case.status == 204 or case.key in PERHAPS_SETTLED:
            with suppress(NotFound):
                ReportRepository.delete_report(REPORT, ALICE)
            insert(ALICE, favorites=set() if case.method == "PUT" else {PRODUCT})


@pytest.mark.parametrize("case", [CASES[key] for key in sorted(PERHAPS_SETTLED)], ids=case_id)
def test_a_lost_try_makes_unknown_whether_there_was_nothing_to_write(
    manager: DatabaseManager, alice: Api, case: Case
) -> None:
    insert(ALICE, favorites={PRODUCT} if case.method == "PUT" else set())
    with faulty(manager, answering(500, "InternalServerError"), times=1) as fired:
        assert_problem(case.send(alice), *UNKNOWN)
    assert fired.fired == 1
    assert case.send(alice).status == 200


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

    @pytest.mark.parametrize(
        "case", [*(case for case in OTHERS if not starts_with_a_read(case)), *WRITES_AT_ONCE], ids=case_id
    )
    def test_any_failure_after_a_lost_answer_is_unknown(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        prepare(ALICE, case)
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


class TestLostPuts:
    """S3 tells a put that was refused after a try whose answer got lost: its content says whose it is."""

    CASE = CASES["POST", "/embeddings/similarity"]

    @pytest.mark.usefixtures("no_worker")
    def test_a_put_whose_answer_got_lost_has_happened(self, manager: DatabaseManager, alice: Api) -> None:
        prepare(ALICE, self.CASE)
        objects = default_objects()
        with faulty(objects, _applied_then(ReadTimeoutError(endpoint_url=S3_URL)), times=1, after=1) as fault:
            answer = self.CASE.send(alice)
        assert fault.fired == 1
        assert answer.status == 202
        assert CASES["GET", "/embeddings/similarity"].send(alice).json()["state"] == "queued"

    @pytest.mark.usefixtures("no_worker")
    def test_one_that_cannot_be_told_is_unknown(self, manager: DatabaseManager, alice: Api) -> None:
        prepare(ALICE, self.CASE)
        objects = default_objects()
        with faulty(objects, _applied_then(ReadTimeoutError(endpoint_url=S3_URL)), after=1) as fault:
            answer = self.CASE.send(alice)
        assert fault.fired >= MAX_ATTEMPTS
        assert_problem(answer, 503, "outcome-unknown")


def _applied_then(error: Exception) -> Fault:
    def fault(request: AWSPreparedRequest) -> AWSResponse:
        botocore_stubber("before-send", request)
        raise error

    return fault
