"""Two tenants on every route: neither sees, changes or so much as notices the other's rows."""

import base64
import json
import uuid
from typing import Any

import pytest

from shared import auth
from shared.database import DatabaseManager
from tests.conftest import ALICE, BOB, forget
from tests.support.api import Answer, Api, all_endpoints, http_api_event
from tests.support.cases import CASES, REPORT, SIGNED_IN, Case, case_id, every_row, insert, rows_of
from tests.support.faults import recorded, requests_sent
from tests.support.problems import assert_problem
from tests.support.tokens import TokenFactory

WITH_ROW = [case for case in SIGNED_IN if case.names_a_row]
WITH_BODY = [case for case in SIGNED_IN if case.body is not None]
WRITES_TO_ROW = [case for case in WITH_ROW if case.writes]
MASS_ASSIGNED = {
    "user_id": BOB,
    "id": str(uuid.uuid4()),
    "created_at": "2000-01-01T00:00:00.000000Z",
    "version": 99,
    "groups": ["k9-admins"],
}
HEADERS: list[dict[str, str]] = [
    {},
    {"if-match": '"1"'},
    {"if-match": '"7"'},
    {"if-match": "*"},
    {"if-match": 'W/"1"'},
    {"idempotency-key": "key-1"},
    {"idempotency-key": "key-1", "if-match": '"1", "2"'},
]
GARBAGE_TOKENS = ["", "garbage", "a.b.c", "e30.e30.", "null", "Bearer x"]


def pages(api: Api, limit: int, **query: str) -> list[dict[str, Any]]:
    """Every report of the user, page by page; fails rather than walk for ever."""
    found: list[dict[str, Any]] = []
    for _ in range(100):
        page = api.get("/reports", query={"limit": str(limit), **query}).json()
        found += page["reports"]
        if not page["has_more"]:
            return found
        query["cursor"] = page["next_cursor"]
    raise AssertionError("the walk did not end")


def test_every_route_has_a_case() -> None:
    assert CASES.keys() == all_endpoints().keys()


def test_every_route_but_the_open_ones_is_signed_in() -> None:
    assert {case.key for case in SIGNED_IN} == {key for key, route in all_endpoints().items() if not route.is_open}


@pytest.mark.parametrize("case", CASES.values(), ids=case_id)
def test_a_case_succeeds_for_the_owner(alice: Api, case: Case) -> None:
    """Otherwise the refusals below would prove nothing."""
    insert(ALICE)
    assert case.send(alice).status == case.status


class TestForeignRows:
    @pytest.mark.parametrize("case", WITH_ROW, ids=case_id)
    def test_a_foreign_row_answers_as_a_missing_one(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        """Byte for byte but the request id, at the cost of as many calls; the row stays as it was."""
        missing = [self.told(manager, case, alice, headers) for headers in HEADERS]
        insert(BOB)
        before = every_row(manager)
        foreign = [self.told(manager, case, alice, headers) for headers in HEADERS]
        assert foreign == missing
        assert [len(calls) for _, calls in foreign] == [1] * len(HEADERS)
        assert every_row(manager) == before

    def told(self, manager: DatabaseManager, case: Case, api: Api, headers: dict[str, str]) -> tuple[str, list[str]]:
        """All that the client gets, and what the store was asked for."""
        with recorded(manager) as calls:
            answer = case.send(api, headers=headers)
        assert_problem(answer, 404, "not-found")
        return answer.without_request_id(), calls

    @pytest.mark.parametrize("case", WRITES_TO_ROW, ids=case_id)
    def test_a_write_to_a_missing_row_makes_no_ghost(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        insert(BOB)
        before = every_row(manager)
        assert case.send(alice, str(uuid.uuid4())).status == 404
        assert every_row(manager) == before

    @pytest.mark.parametrize("case", SIGNED_IN, ids=case_id)
    def test_no_route_touches_another_users_rows(
        self, manager: DatabaseManager, alice: Api, bob: Api, case: Case
    ) -> None:
        insert(BOB, str(uuid.uuid4()))
        bob.patch("/user/profile", {"name": "Secret name", "preferences": {"secret": True}})
        insert(ALICE)
        bobs = rows_of(manager, BOB)
        answer = case.send(alice)
        assert rows_of(manager, BOB) == bobs
        assert "ecret name" not in answer.text

    def test_a_create_over_a_foreign_row_leaves_it_alone(self, manager: DatabaseManager, alice: Api) -> None:
        """The key under which a create with this Idempotency-Key puts its row is taken by someone else's."""
        case = CASES["POST", "/reports"]
        headers = {"idempotency-key": "key-1"}
        created = case.send(alice, headers=headers)
        assert alice.delete(created.headers["Location"]).status == 204
        insert(BOB, created.json()["id"])
        before = rows_of(manager, BOB)
        answer = case.send(alice, headers=headers)
        assert_problem(answer, 409, "conflict")
        assert "ecret" not in answer.text
        assert rows_of(manager, BOB) == before

    def test_a_create_under_an_id_that_chance_gave_to_another(
        self, manager: DatabaseManager, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        insert(BOB)
        before = every_row(manager)
        monkeypatch.setattr("uuid.uuid4", lambda: uuid.UUID(REPORT))
        assert_problem(CASES["POST", "/reports"].send(alice), 409, "conflict")
        assert every_row(manager) == before

    def test_one_key_of_two_users_makes_two_rows(self, alice: Api, bob: Api) -> None:
        case = CASES["POST", "/reports"]
        ids = {case.send(api, headers={"idempotency-key": "same"}).json()["id"] for api in (alice, bob, alice, bob)}
        assert len(ids) == 2


class TestMassAssignment:
    @pytest.mark.parametrize("case", WITH_BODY, ids=case_id)
    def test_a_body_cannot_name_what_is_not_the_clients(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        insert(ALICE)
        alice.get("/user/profile")
        before = every_row(manager)
        for member, value in MASS_ASSIGNED.items():
            answer = case.with_body(**{member: value}).send(alice)
            assert_problem(answer, 422, "invalid-request", pointers=[f"/body/{member}"])
        assert every_row(manager) == before

    @pytest.mark.parametrize("case", [case for case in SIGNED_IN if case not in WITH_BODY], ids=case_id)
    def test_a_body_that_a_route_does_not_take_changes_nothing(
        self, manager: DatabaseManager, alice: Api, case: Case
    ) -> None:
        """Nor does the query: the owner is the token's, whatever else is sent."""
        row = insert(ALICE)
        answer = case.with_body(**MASS_ASSIGNED).send(alice, query="" if case.path == "/reports" else {"user_id": BOB})
        assert answer.status == case.status
        assert rows_of(manager, BOB) == []
        for report in rows_of(manager, ALICE, manager.settings.reports_table):
            assert (report["id"], report["created_at"]) == ({"S": REPORT}, {"S": row.created_at})
            assert report["version"]["N"] in ("1", "2")

    def test_the_query_of_a_list_cannot_name_a_user(self, alice: Api) -> None:
        answer = alice.get("/reports", query={"user_id": BOB})
        assert_problem(answer, 422, "invalid-request", pointers=["/query/user_id"])


class TestCursors:
    @pytest.fixture
    def cursor(self, alice: Api, bob: Api) -> str:
        """A cursor into the middle of alice's reports; both users have five, one after the other."""
        for number in range(5):
            for owner in (ALICE, BOB):
                insert(owner, str(uuid.uuid4()), title=f"{owner} {number}")
        return str(alice.get("/reports", query={"limit": "2"}).json()["next_cursor"])

    @pytest.mark.parametrize("flip", [1, 2, 32], ids=["lowest bit", "second bit", "case bit"])
    def test_every_flipped_byte(self, alice: Api, cursor: str, flip: int) -> None:
        for index, character in enumerate(cursor):
            changed = cursor[:index] + chr(ord(character) ^ flip) + cursor[index + 1 :]
            self.assert_own_or_refused(alice.get("/reports", query={"cursor": changed}), ALICE)

    def test_other_changes(self, alice: Api, cursor: str) -> None:
        for changed in (cursor[:-1], cursor + "A", cursor[1:], cursor * 2, cursor.swapcase(), cursor + "="):
            assert_problem(alice.get("/reports", query={"cursor": changed}), 400, "malformed-request")

    def test_another_users_cursor(self, bob: Api, cursor: str) -> None:
        answer = bob.get("/reports", query={"cursor": cursor})
        assert answer.status == 200
        assert answer.json()["reports"]
        self.assert_own_or_refused(answer, BOB)

    def test_a_cursor_that_points_at_another_users_row(self, manager: DatabaseManager, alice: Api, cursor: str) -> None:
        for row in rows_of(manager, BOB):
            forged = json.dumps([1, row["created_at"]["S"], row["id"]["S"]], separators=(",", ":")).encode()
            answer = alice.get("/reports", query={"cursor": base64.urlsafe_b64encode(forged).decode().rstrip("=")})
            assert answer.status == 200
            self.assert_own_or_refused(answer, ALICE)

    def assert_own_or_refused(self, answer: Answer, owner: str) -> None:
        if answer.status == 200:
            assert all(report["title"].startswith(owner) for report in answer.json()["reports"])
        else:
            assert_problem(answer, 400, "malformed-request")


def test_a_users_pages_are_exactly_the_users_rows(manager: DatabaseManager, alice: Api, bob: Api) -> None:
    instant = "2026-01-01T00:00:00.000000Z"
    for number in range(7):
        insert(ALICE, str(uuid.uuid4()), created_at=instant if number % 2 else f"2026-01-0{number + 1}")
        insert(BOB, str(uuid.uuid4()), created_at=instant)
    for owner, api in ((ALICE, alice), (BOB, bob)):
        stored = {row["id"]["S"] for row in rows_of(manager, owner)}
        for limit in (1, 2, 3, 7, 100):
            shown = [report["id"] for report in pages(api, limit)]
            assert len(shown) == len(stored) == 7
            assert set(shown) == stored
        assert api.get("/reports", query={"include_total": "true"}).json()["total"] == 7


@pytest.mark.parametrize("case", CASES.values(), ids=case_id)
def test_no_route_scans(manager: DatabaseManager, alice: Api, case: Case) -> None:
    """A query reads one partition, the caller's; everything else names its row."""
    insert(ALICE)
    with requests_sent(manager) as sent:
        case.send(alice, query={"include_total": "true"} if case.path == "/reports" and case.method == "GET" else "")
    assert sent
    for operation, parameters in sent:
        assert operation in {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"}
        if operation == "Query":
            assert parameters["KeyConditionExpression"] == "#user_id = :caller"
            assert parameters["ExpressionAttributeValues"] == {":caller": {"S": ALICE}}
        if operation in ("UpdateItem", "DeleteItem"):
            assert parameters["ExpressionAttributeValues"][":caller"] == {"S": ALICE}
            assert "#user_id = :caller" in parameters["ConditionExpression"]
        if operation == "PutItem":
            assert parameters["ConditionExpression"].startswith("attribute_not_exists(")


def test_a_warm_process_answers_as_fresh_ones_do(manager: DatabaseManager, alice: Api, bob: Api) -> None:
    """A, B, A, B in one process, and each request in a process that remembers nothing."""
    for owner, api in ((ALICE, alice), (BOB, bob)):
        insert(owner, REPORT if owner == ALICE else str(uuid.uuid4()), title=f"of {owner}")
        api.get("/user/profile")
    reads = [case for case in CASES.values() if case.method == "GET"]
    order = [(api, case) for api in (alice, bob, alice, bob) for case in reads]
    warm = [case.send(api).without_request_id() for api, case in order]
    fresh = []
    for api, case in order:
        forget()
        auth._parse_header.cache_clear()
        fresh.append(case.send(api).without_request_id())
    assert warm == fresh
    assert len(set(warm)) > len(reads)


class TestWithoutAToken:
    @pytest.mark.parametrize("case", SIGNED_IN, ids=case_id)
    def test_every_route_is_closed(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        insert(ALICE)
        before = every_row(manager)
        with recorded(manager) as calls:
            for token in [None, *GARBAGE_TOKENS]:
                assert_problem(case.send(Api(token)), 401, "unauthenticated")
        assert calls == []
        assert every_row(manager) == before

    @pytest.mark.parametrize("case", SIGNED_IN, ids=case_id)
    def test_claims_that_the_event_carries_are_not_believed(
        self, manager: DatabaseManager, tokens: TokenFactory, case: Case
    ) -> None:
        """Whoever may invoke the function directly could write them."""
        claims = tokens.id_claims(ALICE, ["k9-admins"])
        path = case.path.format(report_id=REPORT, product_id="p")
        event = dict(http_api_event(case.endpoint, path, {"report_id": REPORT, "product_id": "p"}, "", {}, "{}"))
        event["requestContext"] = {
            **event["requestContext"],
            "authorizer": {"claims": claims, "jwt": {"claims": claims, "scopes": None}, "principalId": ALICE},
        }
        with recorded(manager) as calls:
            assert_problem(Answer(case.endpoint(event, None)), 401, "unauthenticated")
        assert calls == []

    def test_the_token_decides_where_claims_say_otherwise(self, alice: Api, manager: DatabaseManager) -> None:
        insert(BOB)
        case = CASES["GET", "/reports/{report_id}"]
        headers = {"authorization": f"Bearer {alice.token}"}
        event = dict(http_api_event(case.endpoint, f"/reports/{REPORT}", {"report_id": REPORT}, "", headers, None))
        event["requestContext"] = {**event["requestContext"], "authorizer": {"claims": {"sub": BOB}}}
        assert_problem(Answer(case.endpoint(event, None)), 404, "not-found")
