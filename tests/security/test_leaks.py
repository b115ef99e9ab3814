"""Nothing that a person sent, and no token, is printed: not on success, not on refusal, not on failure."""

import json
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from shared.database import DatabaseManager
from tests.conftest import ALICE
from tests.support.api import Api
from tests.support.cases import CASES, REPORT, Case, case_id, insert
from tests.support.faults import Fault, answering, faulty, raising
from tests.support.logs import Logged
from tests.support.logs import logged as logged
from tests.support.tokens import TokenFactory

CANARY = "c4n4ry"
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
    CANARY,
    f'{{"{CANARY}": {CANARY}}}',
    f'{{"{CANARY}": 1, "{CANARY}": 2}}',
]
QUERIES = [f"cursor={CANARY}", f"limit={CANARY}", f"{CANARY}={CANARY}", f"cursor={CANARY}&cursor={CANARY}"]
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
    insert(ALICE, title=CANARY, author=CANARY, reference={CANARY: CANARY}, favorites={CANARY})
    claims = {"name": CANARY, "email": f"{CANARY}@example.com", "cognito:username": CANARY, f"custom:{CANARY}": CANARY}
    return Api.as_user(ALICE, tokens, groups=[CANARY], **claims)


def assert_silent(logged: Logged, api: Api, requests: int) -> None:
    """One line a request, and in no output a canary, the user, or a part of the token."""
    assert len(logged.records()) == requests
    everything = logged.everything()
    assert len(everything) > 100 * requests
    assert CANARY not in everything.lower()
    assert ALICE not in everything
    assert api.token is not None
    assert not any(part in everything for part in api.token.split(".")[1:])


@pytest.mark.parametrize("case", CASES.values(), ids=case_id)
def test_requests_of_every_kind(person: Api, logged: Logged, case: Case) -> None:
    inputs: list[dict[str, Any]] = [
        *({"headers": headers} for headers in HEADERS),
        *({"body": body} for body in BODIES),
        *({"query": query} for query in QUERIES),
        *({"report_id": report_id} for report_id in IDS),
        *({"product_id": product_id} for product_id in IDS),
    ]
    statuses = {case.send(person, **given).status for given in inputs}
    assert 500 not in statuses
    assert_silent(logged, person, len(inputs))


@pytest.mark.parametrize("case", CASES.values(), ids=case_id)
def test_failures_of_every_kind(manager: DatabaseManager, person: Api, logged: Logged, case: Case) -> None:
    for fault in FAULTS:
        with faulty(manager, fault) as fired:
            answer = case.send(person, query="" if case.path != "/reports" else "limit=1")
        assert fired.fired
        assert CANARY not in answer.text
        assert answer.status >= 400
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
