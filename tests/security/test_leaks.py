"""Nothing that a person sent, and no token, is printed: not on success, not on refusal, not on failure."""

import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from shared.database import DatabaseManager
from shared.similarity.objects import default_objects
from shared.tasks import wait_for_local_tasks
from tests.conftest import ALICE
from tests.support.api import Api
from tests.support.cases import (
    ACCOUNTS,
    CASES,
    EMBEDDINGS,
    MODEL,
    PRODUCT,
    REPORT,
    Case,
    build_matrix,
    case_id,
    embed,
    insert,
)
from tests.support.faults import Fault, answering, answering_as_s3, faulty, raising
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.support.tokens import TokenFactory

CANARY = "c4n4ry"
NUMBER = 0.4815162342
"""A component of a vector, which is nobody's business either."""

HEADERS = [
    {},
    {
        "user-agent": CANARY,
        "x-forwarded-for": CANARY,
        "origin": f"https://{CANARY}.example",
        "cookie": CANARY,
        "referer": f"https://{CANARY}.example",
        f"x-{CANARY}": CANARY,
        "if-match": f'"{CANARY}"',
        "idempotency-key": CANARY,
    },
    {"if-match": CANARY},
    {"idempotency-key": f"{CANARY} {CANARY}"},
    {"content-type": f"application/{CANARY}"},
    {"content-type": f"application/json; charset={CANARY}"},
]
BODIES: list[Any] = [
    {"title": CANARY, "author": CANARY, "reference": {CANARY: [CANARY]}},
    {
        "name": CANARY,
        "email": f"{CANARY}@example.com",
        "avatar_url": f"https://{CANARY}/",
        "preferences": {CANARY: CANARY},
    },
    {"favorites": [CANARY]},
    {CANARY: CANARY},
    {"title": CANARY * 99, "date": CANARY, "reference": CANARY, "name": [CANARY], "email": CANARY, "favorites": CANARY},
    {"reference": {CANARY: {CANARY: 10**200}}, "preferences": {CANARY: "\ud800"}},
    {
        "product_id": CANARY,
        "model_version": MODEL,
        "embedding_vector": [1.25, NUMBER],
        "product": {CANARY: [CANARY, {"x": CANARY}]},
    },
    {"product_id": CANARY, "model_version": CANARY, "embedding_vector": [CANARY], "product": {CANARY: 1}},
    {"product_id": PRODUCT, "model_version": CANARY, "embedding_vector": [NUMBER], "product": {CANARY: 10**200}},
    {"product": {CANARY: CANARY}},
    {
        "items": [
            {"product_id": CANARY, "model_version": MODEL, "embedding_vector": [1, NUMBER]},
            {CANARY: CANARY},
            CANARY,
        ]
    },
    {"items": [CANARY], "catalogue": CANARY},
    {"model_version": MODEL, "embedding_vector": [NUMBER, 2], "filter": {CANARY: CANARY}, "min_score": 0.1},
    {"model_version": MODEL, "product_id": PRODUCT, "filter": {CANARY: {f"${CANARY}": CANARY}}},
    {"model_version": MODEL, "product_id": CANARY, "metric": CANARY},
    {"model_version": MODEL, "embedding_vector": [NUMBER, NUMBER, 1]},
    {"model_version": MODEL, "filter": {CANARY: {"$in": [CANARY, NUMBER]}}, "continuation": CANARY},
    {"model_version": MODEL, "filter": {CANARY: {"$exists": False}}, "dry_run": True},
    {"model_version": MODEL, "k": 2},
    {"model_version": CANARY, "k": CANARY, "catalogue": CANARY},
    CANARY,
    f'{{"{CANARY}": {CANARY}}}',
    f'{{"{CANARY}": 1, "{CANARY}": 2}}',
]
QUERIES = [
    f"model_version={CANARY}",
    f"model_version={CANARY}%2F..&catalogue={CANARY}",
    f"include_vectors={CANARY}",
    f"metric={CANARY}",
    f"cursor={CANARY}",
    f"limit={CANARY}",
    f"{CANARY}={CANARY}",
    f"cursor={CANARY}&cursor={CANARY}",
]
IDS = [REPORT, CANARY, f"{CANARY}\x00", CANARY * 50]
FAULTS: list[Fault] = [
    answering(400, "ThrottlingException", message=CANARY),
    answering(400, "ValidationException", message=f"{CANARY}: 1 validation error detected: Value '{CANARY}'"),
    answering(400, "AccessDeniedException", message=CANARY),
    answering(500, "InternalServerError", message=CANARY),
    raising(ReadTimeoutError(endpoint_url=f"https://{CANARY}")),
    raising(RuntimeError(CANARY)),
    raising(KeyError(CANARY)),
]


@pytest.fixture
def person(manager: DatabaseManager, tokens: TokenFactory, monkeypatch: pytest.MonkeyPatch) -> Api:
    """Alice, whose token is full of canaries too."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr("shared.database.parallel._THROTTLED_FOR_SECONDS", 0)
    insert(ALICE, title=CANARY, author=CANARY, reference={"product_id": PRODUCT, CANARY: CANARY}, favorites={CANARY})
    claims = {"name": CANARY, "email": f"{CANARY}@example.com", "cognito:username": CANARY, f"custom:{CANARY}": CANARY}
    return Api.as_user(ALICE, tokens, groups=[CANARY], **claims)


def assert_silent(logged: Logged, api: Api, requests: int, *, warns: bool = False) -> None:
    """One line a request (and warnings where there may be), and in no output a canary, the user, or a part of the
    token."""
    records = logged.records()
    assert sum(record["message"] == "request" for record in records) == requests
    assert warns or len(records) == requests
    everything = logged.everything()
    assert len(everything) > 100 * requests
    assert CANARY not in everything.lower()
    assert str(NUMBER)[:8] not in everything
    assert PRODUCT not in everything
    assert MODEL not in everything
    assert ALICE not in everything
    assert api.token is not None
    assert not any(part in everything for part in api.token.split(".")[1:])


def status_alone(case: Case, api: Api, given: dict[str, Any]) -> int:
    """The worker ends first what the request asks of it: moto does not stand two threads at one bucket."""
    status = case.send(api, **given).status
    assert wait_for_local_tasks(20)
    return status


@pytest.mark.parametrize("case", CASES.values(), ids=case_id)
def test_requests_of_every_kind(person: Api, logged: Logged, case: Case) -> None:
    inputs: list[dict[str, Any]] = [
        *({"headers": headers} for headers in HEADERS),
        *({"body": body} for body in BODIES),
        *({"query": query} for query in QUERIES),
        *({"report_id": report_id} for report_id in IDS),
        *({"product_id": product_id} for product_id in IDS),
    ]
    if case.is_about_embeddings:
        embed_secrets()
    statuses = {status_alone(case, person, given) for given in inputs}
    assert 500 not in statuses, [record for record in logged.records() if record["level"] == "ERROR"]
    assert_silent(logged, person, len(inputs))


@pytest.mark.parametrize("case", EMBEDDINGS, ids=case_id)
def test_requests_that_find_something(person: Api, logged: Logged, case: Case) -> None:
    embed_secrets()
    embed(ALICE, CANARY, [NUMBER, 2], {CANARY: CANARY}, CANARY)
    build_matrix(ALICE)
    sent = [case.send(person)]
    if "model_version" in case.query:
        sent.append(case.send(person, product_id=CANARY, query={"model_version": CANARY}))
    if "model_version" in (case.body or {}):
        sent.append(case.with_body(model_version=CANARY).send(person))
    assert wait_for_local_tasks(20)
    assert sent[0].status == case.status
    assert_silent(logged, person, len(sent))


@pytest.mark.parametrize("case", [*EMBEDDINGS, *ACCOUNTS], ids=case_id)
def test_failures_of_the_object_store(person: Api, logged: Logged, case: Case) -> None:
    """And objects that somebody has damaged."""
    embed_secrets()
    build_matrix(ALICE)
    objects = default_objects()
    faults: list[Fault] = [
        answering_as_s3(503, "SlowDown", CANARY),
        answering_as_s3(500, "InternalError", CANARY),
        answering_as_s3(403, "AccessDenied", CANARY),
        answering_as_s3(400, "InvalidRequest", CANARY),
        raising(ReadTimeoutError(endpoint_url=f"https://{CANARY}")),
        raising(RuntimeError(CANARY)),
    ]
    for fault in faults:
        with faulty(objects, fault):
            answer = case.send(person)
            assert answer.status < 400 or CANARY not in answer.text
            assert wait_for_local_tasks(20)
    for info in list(objects.list("")):
        objects.put(info.key, CANARY.encode())
    for _ in range(2):
        assert case.send(person).status != 500
    assert wait_for_local_tasks(20)
    assert_silent(logged, person, len(faults) + 2, warns=True)


def embed_secrets() -> None:
    for number, product_id in enumerate((PRODUCT, "product 2")):
        embed(ALICE, product_id, [NUMBER, number], {CANARY: CANARY, "price": 1})


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.asks_aws and case not in ACCOUNTS], ids=case_id
)
def test_failures_of_every_kind(manager: DatabaseManager, person: Api, logged: Logged, case: Case) -> None:
    if case.needs_a_matrix:
        embed_secrets()
        build_matrix(ALICE)
    source = default_objects() if case.is_of_an_avatar else manager
    for fault in FAULTS:
        with faulty(source, fault) as fired:
            answer = case.send(person, query="" if case.path != "/reports" else "limit=1")
        assert fired.fired
        assert CANARY not in answer.text
        assert answer.status >= 400 or case.path == "/embeddings/batch"
    assert_silent(logged, person, len(FAULTS))


def test_refused_tokens(person: Api, logged: Logged, tokens: TokenFactory) -> None:
    refused = [
        tokens.id_token(CANARY, exp=1),
        tokens.id_token(CANARY, aud=CANARY),
        tokens.id_token(CANARY, iss=f"https://{CANARY}"),
        tokens.id_token(CANARY, header={"kid": CANARY}),
        tokens.id_token(CANARY, header={"alg": CANARY}),
        tokens.sign_raw(b"{", CANARY.encode()),
        CANARY,
    ]
    for token in refused:
        assert Api(token).get("/reports").status == 401
    assert_silent(logged, person, len(refused))
    assert not any(part in logged.text for token in refused for part in token.split(".")[1:] if len(part) > 8)


def test_the_line_of_a_refused_token_has_its_reason(logged: Logged, manager: DatabaseManager, person: Api) -> None:
    Api().get("/reports")
    Api("a.b").get("/reports")
    assert [record["reason"] for record in logged.records()] == ["authorization_count", "segments"]


def test_the_net_would_catch_one(logged: Logged, person: Api, capfd: pytest.CaptureFixture[str]) -> None:
    """Otherwise a capture that sees nothing would pass for silence."""
    person.get("/reports")
    print(json.dumps({"title": CANARY}))  # noqa: T201 - what must not happen
    with pytest.raises(AssertionError):
        assert_silent(logged, person, 1)
