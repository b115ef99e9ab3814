"""Two tenants on every route: neither sees, changes or so much as notices the other's rows."""

import base64
import json
import re
import uuid
from typing import Any
from urllib.parse import quote

import pytest

from shared import auth
from shared.account.places import account_digest, owned_prefixes
from shared.database import DatabaseManager
from shared.database.manager import default_manager
from shared.process import renew
from shared.similarity import matrix
from shared.similarity.cache import default_cache
from shared.similarity.objects import default_objects
from shared.tasks import wait_for_local_tasks
from tests.conftest import ALICE, BOB
from tests.support.api import Answer, Api, all_endpoints, http_api_event
from tests.support.cases import (
    CASES,
    EMBEDDINGS,
    MODEL,
    NEW_PRODUCT,
    OTHER_PRODUCT,
    OTHER_VECTOR,
    PRODUCT,
    REPORT,
    SIGNED_IN,
    Case,
    build_matrix,
    case_id,
    embed,
    every_object,
    every_row,
    insert,
    prepare,
    rows_of,
)
from tests.support.faults import recorded, requests_sent
from tests.support.problems import assert_problem
from tests.support.tokens import TokenFactory

WITH_ROW = [case for case in SIGNED_IN if case.names_a_row]
WITH_BODY = [case for case in SIGNED_IN if case.body is not None]
WITH_QUERY = [case for case in SIGNED_IN if "query" in case.endpoint.types]
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
HOSTILE_NAMES = [
    "../",
    f"../{BOB}/m",
    f"a/../../{BOB}/m",
    f"a/..%2f..%2f{BOB}%2fm",
    "%2e%2e/",
    "a%2e%2e%2f",
    ".",
    "..",
    "a\x00b",
    "\x00",
    "a" * 1025,
    "\u00fc" * 1025,
    "a\nb",
    f"a#{BOB}",
    f"{BOB}#{MODEL}",
    "//",
    "manifest.json",
    "matrix/status.json",
    "a/../../..",
    "",
]
LISTS = ["/reports", "/embeddings"]
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
GARBAGE_TOKENS = ["", "garbage", "a.b.c", "e30.e30.", "null", "Bearer x"]


def wipe(manager: DatabaseManager) -> None:
    for table, rows in every_row(manager).items():
        keys = {
            entry["AttributeName"] for entry in manager.client.describe_table(TableName=table)["Table"]["KeySchema"]
        }
        for row in rows:
            manager.client.delete_item(TableName=table, Key={name: row[name] for name in keys})
    default_objects().delete(every_object())
    manager.settled.clear()
    default_cache.cache_clear()


def objects_of(owner: str) -> dict[str, bytes]:
    return {key: body for key, body in every_object().items() if f"/{owner}/" in key}


def everything(manager: DatabaseManager) -> tuple[dict[str, list[Any]], dict[str, bytes]]:
    """All that is stored, in tables and in the bucket."""
    return every_row(manager), every_object()


def pages(api: Api, limit: int, path: str = "/reports", **query: str) -> list[dict[str, Any]]:
    """Every report (or embedding) of the user, page by page; fails rather than walk for ever."""
    found: list[dict[str, Any]] = []
    for _ in range(100):
        page = CASES["GET", path].send(api, query={"limit": str(limit), **query}).json()
        found += page[path.strip("/")]
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
    prepare(ALICE, case)
    assert case.send(alice).status == case.status


class TestForeignRows:
    @pytest.mark.parametrize("case", WITH_ROW, ids=case_id)
    def test_a_foreign_row_answers_as_a_missing_one(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        """Byte for byte but the request id, at the cost of as many calls; the row stays as it was."""
        missing = [self.told(manager, case, alice, headers) for headers in HEADERS]
        prepare(BOB)
        before = everything(manager)
        foreign = [self.told(manager, case, alice, headers) for headers in HEADERS]
        assert foreign == missing
        assert [len(calls) for _, calls in foreign] == [1] * len(HEADERS)
        assert everything(manager) == before

    def told(self, manager: DatabaseManager, case: Case, api: Api, headers: dict[str, str]) -> tuple[str, list[str]]:
        """All that the client gets, and what the store was asked for."""
        with recorded(manager, default_objects()) as calls:
            answer = case.send(api, headers=headers)
        if case.needs_a_matrix:
            assert_problem(answer, 422, "invalid-request", pointers=["/query/model_version"])
        else:
            assert_problem(answer, 404, "not-found")
        return answer.without_request_id(), calls

    def test_a_foreign_product_is_in_no_matrix(self, manager: DatabaseManager, alice: Api) -> None:
        """Of a caller who has that model version, too."""
        embed(ALICE, OTHER_PRODUCT)
        build_matrix(ALICE)
        case = CASES["GET", "/embeddings/similarity/{product_id}"]
        missing = case.send(alice)
        prepare(BOB)
        before = everything(manager)
        foreign = case.send(alice)
        assert_problem(foreign, 404, "not-found")
        assert foreign.without_request_id() == missing.without_request_id()
        assert everything(manager) == before

    @pytest.mark.parametrize("case", WRITES_TO_ROW, ids=case_id)
    def test_a_write_to_a_missing_row_makes_no_ghost(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        prepare(BOB)
        before = everything(manager)
        missing = "product 9" if case.is_about_embeddings else PRODUCT
        assert case.send(alice, str(uuid.uuid4()), product_id=missing).status == 404
        assert everything(manager) == before

    @pytest.mark.parametrize("has_products", [False, True], ids=["nothing", "products"])
    @pytest.mark.parametrize("case", EMBEDDINGS, ids=case_id)
    def test_nothing_of_another_users_products_shows(
        self,
        manager: DatabaseManager,
        alice: Api,
        case: Case,
        has_products: bool,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The same answer and the same calls, whether or not another has the same products, a snapshot and a matrix.

        Alice has a report in any case, and once products that are not the ones asked for.
        """
        monkeypatch.setattr("handlers.embeddings.build_matrix.request_task", lambda task: None)
        told = []
        for other in (None, BOB):
            wipe(manager)
            if other:
                embed(other)
                embed(other, NEW_PRODUCT)
                build_matrix(other)
            insert(ALICE, title="Mine", author="Alice", favorites={PRODUCT, "favorite"})
            if has_products:
                embed(ALICE, "mine", [1.0, 1.0], {"price": 7})
            with recorded(manager, default_objects()) as calls:
                answer = case.send(alice)
            told.append((UUID.sub("-", TIME.sub("-", answer.without_request_id())), calls))
        assert told[0] == told[1]
        assert "ecret" not in told[0][0]

    @pytest.mark.parametrize("case", SIGNED_IN, ids=case_id)
    def test_no_route_touches_another_users_rows(
        self, manager: DatabaseManager, alice: Api, bob: Api, case: Case
    ) -> None:
        insert(BOB, str(uuid.uuid4()))
        bob.patch("/user/profile", {"name": "Secret name", "preferences": {"secret": True}})
        for product_id in (PRODUCT, NEW_PRODUCT, "only bob's"):
            embed(BOB, product_id, product={"name": "Secret name", "price": 1})
        build_matrix(BOB)
        prepare(ALICE, case)
        bobs, objects = rows_of(manager, BOB), objects_of(BOB)
        answer = case.send(alice)
        assert wait_for_local_tasks(20)
        assert answer.status == case.status
        assert rows_of(manager, BOB) == bobs
        assert objects_of(BOB) == objects
        assert len(objects) >= 4
        assert "ecret name" not in answer.text
        assert "only bob" not in answer.text

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
        prepare(ALICE, case)
        alice.get("/user/profile")
        before = everything(manager)
        for member, value in MASS_ASSIGNED.items():
            answer = case.with_body(**{member: value}).send(alice)
            assert_problem(answer, 422, "invalid-request", pointers=[f"/body/{member}"])
        assert everything(manager) == before

    def test_an_item_of_a_batch_cannot_either(self, manager: DatabaseManager, alice: Api) -> None:
        case = CASES["POST", "/embeddings/batch"]
        more = {**MASS_ASSIGNED, "owner_model": f"{BOB}#{MODEL}", "catalogue": "shared", "deleted_at": None}
        items = [{**case.body["items"][0], member: value} for member, value in more.items()]
        embed(ALICE)
        before = everything(manager)
        results = case.with_body(items=items).send(alice).json()["results"]
        assert [result["status"] for result in results] == [422] * len(items)
        pointers = [[error["pointer"] for error in result["errors"]] for result in results]
        assert pointers == [[f"/body/items/{index}/{member}"] for index, member in enumerate(more)]
        assert everything(manager) == before

    def test_metadata_that_is_called_as_the_rows_own_attributes_stays_metadata(
        self, manager: DatabaseManager, alice: Api
    ) -> None:
        product = {**MASS_ASSIGNED, "owner_model": f"{BOB}#{MODEL}", "deleted_at": "x", "expires_at": 1}
        body = {"product_id": PRODUCT, "model_version": MODEL, "embedding_vector": [1, 2], "product": product}
        stored = alice.post("/embeddings", body)
        assert (stored.status, stored.json()["version"]) == (201, 1)
        assert CASES["GET", "/embeddings/{product_id}"].send(alice).json()["product"] == product
        assert rows_of(manager, BOB) == []
        (row,) = rows_of(manager, ALICE, manager.settings.embeddings_table)
        assert row["owner_model"] == {"S": f"{ALICE}#{MODEL}"}

    @pytest.mark.parametrize("case", [case for case in SIGNED_IN if case not in WITH_BODY], ids=case_id)
    def test_a_body_that_a_route_does_not_take_changes_nothing(
        self, manager: DatabaseManager, alice: Api, case: Case
    ) -> None:
        """Nor does the query: the owner is the token's, whatever else is sent."""
        prepare(ALICE)
        made = {row["created_at"]["S"] for row in rows_of(manager, ALICE)}
        takes_a_query = "query" in case.endpoint.types
        answer = case.with_body(**MASS_ASSIGNED).send(alice, query="" if takes_a_query else {"user_id": BOB})
        assert answer.status == case.status
        assert rows_of(manager, BOB) == []
        left = [row for row in rows_of(manager, ALICE) if "deleted_at" not in row]
        assert {row["created_at"]["S"] for row in left} <= made
        assert {row["version"]["N"] for row in left} <= {"1", "2"}
        assert all(row.get("id", {"S": REPORT}) == {"S": REPORT} for row in left)

    @pytest.mark.parametrize("case", WITH_QUERY, ids=case_id)
    def test_a_query_cannot_name_a_user(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        prepare(ALICE)
        before = everything(manager)
        for member in (*MASS_ASSIGNED, "owner", "owner_model"):
            answer = case.send(alice, query={member: BOB})
            assert_problem(answer, 422, "invalid-request", pointers=[f"/query/{member}"])
        assert everything(manager) == before


@pytest.mark.parametrize("path", LISTS)
class TestCursors:
    @pytest.fixture
    def cursor(self, manager: DatabaseManager, alice: Api, path: str) -> str:
        """A cursor into the middle of alice's list; both users have five, one after the other."""
        for number in range(5):
            for owner in (ALICE, BOB):
                if path == "/reports":
                    insert(owner, str(uuid.uuid4()), title=f"{owner} {number}")
                else:
                    embed(owner, f"p{number}", product={"of": owner})
        return self.next_cursor(alice, path)

    def next_cursor(self, api: Api, path: str) -> str:
        return str(CASES["GET", path].send(api, query={"limit": "2"}).json()["next_cursor"])

    @pytest.mark.parametrize("flip", [1, 2, 32], ids=["lowest bit", "second bit", "case bit"])
    def test_every_flipped_byte(self, alice: Api, path: str, cursor: str, flip: int) -> None:
        for index, character in enumerate(cursor):
            changed = cursor[:index] + chr(ord(character) ^ flip) + cursor[index + 1 :]
            assert_own_or_refused(CASES["GET", path].send(alice, query={"cursor": changed}), ALICE)

    def test_other_changes(self, alice: Api, path: str, cursor: str) -> None:
        for changed in (cursor[:-1], cursor + "A", cursor[1:], cursor * 2, cursor.swapcase(), cursor + "=", "", "\x00"):
            answer = CASES["GET", path].send(alice, query={"cursor": changed})
            assert_problem(answer, 400, "malformed-request")

    def test_another_users_cursor(self, bob: Api, path: str, cursor: str) -> None:
        answer = CASES["GET", path].send(bob, query={"cursor": cursor})
        assert answer.status == 200
        assert owners(answer) == {BOB}

    def test_a_cursor_of_another_route(self, alice: Api, bob: Api, path: str, cursor: str) -> None:
        """A position is a time and an id in either list: it leads into the caller's own rows, or nowhere."""
        insert(BOB, str(uuid.uuid4()), title=f"{BOB} 6")
        for owner in (ALICE, BOB):
            embed(owner, "p6", product={"of": owner})
        for other in LISTS:
            for api, owner in ((alice, ALICE), (bob, BOB)):
                assert_own_or_refused(CASES["GET", other].send(api, query={"cursor": cursor}), owner)

    def test_a_cursor_that_points_at_another_users_row(
        self, manager: DatabaseManager, alice: Api, path: str, cursor: str
    ) -> None:
        for row in rows_of(manager, BOB):
            for time in ("created_at", "updated_at"):
                for name in ("id", "product_id", "owner_model"):
                    answer = CASES["GET", path].send(
                        alice, query={"cursor": forged(1, *(row.get(key, {"S": "x"})["S"] for key in (time, name)))}
                    )
                    assert answer.status == 200
                    assert_own_or_refused(answer, ALICE)

    def test_a_cursor_of_other_types(self, alice: Api, path: str, cursor: str) -> None:
        for parts in ([1, "t"], [1, {"S": "t"}, "i"], [1, "t", ["i"]], [2, "t", "i"], [True, "t", "i"], [1, "", "i"]):
            answer = CASES["GET", path].send(alice, query={"cursor": forged(*parts)})
            assert_problem(answer, 400, "malformed-request")


class TestContinuations:
    """Of a delete by filter: the cursor of a list, in a body, and what follows is deleted."""

    @pytest.fixture
    def continuation(self, manager: DatabaseManager, alice: Api, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.setattr("shared.database.embedding_deletion.STEP_ROWS", 2)
        for number in range(5):
            for owner in (ALICE, BOB):
                embed(owner, f"p{number}", product={"of": owner})
        return str(self.step(alice).json()["continuation"])

    def step(self, api: Api, continuation: str | None = None, **members: Any) -> Answer:
        body = {"model_version": MODEL, "filter": {}, "dry_run": True, "continuation": continuation, **members}
        return api.post("/embeddings/delete", body)

    def test_every_flipped_byte(self, manager: DatabaseManager, alice: Api, continuation: str) -> None:
        before = every_row(manager)
        for index, character in enumerate(continuation):
            answer = self.step(alice, continuation[:index] + chr(ord(character) ^ 1) + continuation[index + 1 :])
            if answer.status != 200:
                assert_problem(answer, 400, "malformed-request")
        assert every_row(manager) == before

    def test_another_users(self, manager: DatabaseManager, bob: Api, continuation: str) -> None:
        before = rows_of(manager, ALICE)
        answer = self.step(bob, continuation, dry_run=False)
        assert (answer.status, answer.json()["deleted"]) == (200, 2)
        assert rows_of(manager, ALICE) == before

    def test_one_that_points_at_another_users_row(
        self, manager: DatabaseManager, alice: Api, continuation: str
    ) -> None:
        bobs = rows_of(manager, BOB)
        for row in bobs:
            if "product_id" in row:
                place = forged(1, row["updated_at"]["S"], row["product_id"]["S"])
                assert self.step(alice, place, dry_run=False).status == 200
        assert rows_of(manager, BOB) == bobs


def forged(*parts: object) -> str:
    text = json.dumps(parts, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def owners(answer: Answer) -> set[str]:
    """Whose rows a list shows, by their titles or metadata."""
    listed = answer.json()
    titles = {report["title"].split(" ")[0] for report in listed.get("reports", ())}
    return titles | {embedding["product"]["of"] for embedding in listed.get("embeddings", ())}


def assert_own_or_refused(answer: Answer, owner: str) -> None:
    if answer.status == 200:
        assert owners(answer) <= {owner}
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


def test_a_users_pages_are_exactly_the_users_products(manager: DatabaseManager, alice: Api, bob: Api) -> None:
    """Of one model version, whatever else there is under a name that begins or ends alike."""
    for owner in (ALICE, BOB, ALICE[:-1], f"{ALICE}1"):
        for number in range(7):
            embed(owner, f"p{number}", product={"of": owner})
        for other in (MODEL + "1", MODEL[:-1], "a", MODEL.upper()):
            embed(owner, "elsewhere", model_version=other)
    for owner, api in ((ALICE, alice), (BOB, bob)):
        for limit in (1, 2, 3, 7, 100):
            shown = pages(api, limit, "/embeddings")
            assert [embedding["product_id"] for embedding in shown] == [f"p{number}" for number in range(6, -1, -1)]
            assert {embedding["product"]["of"] for embedding in shown} == {owner}


def account_prefixes(owner: str) -> list[str]:
    """What keys begin with that an erasure or a copy of the owner's account may touch."""
    record = account_digest(owner)
    return [*owned_prefixes(owner), f"erasures/{record}.json", f"pending/erasures/{record}/"]


class TestKeys:
    """What a request may touch, as its calls say: rows of the caller's, keys below the caller's, and no scan."""

    @pytest.mark.parametrize(
        ("case", "catalogue"),
        [*((case, "own") for case in SIGNED_IN), *((case, "shared") for case in EMBEDDINGS)],
        ids=lambda value: case_id(value) if isinstance(value, Case) else value,
    )
    def test_every_call_names_the_owner(
        self,
        manager: DatabaseManager,
        tokens: TokenFactory,
        monkeypatch: pytest.MonkeyPatch,
        case: Case,
        catalogue: str,
    ) -> None:
        owner = ALICE if catalogue == "own" else "shared"
        prepare(ALICE, case)
        if catalogue == "shared":
            embed("shared")
            embed("shared", OTHER_PRODUCT, OTHER_VECTOR)
            build_matrix("shared")
        renew()
        tokens.trust(monkeypatch)
        api = Api.as_user(ALICE, tokens, groups=["k9-admins"])
        total = {"include_total": "true"} if case.key == ("GET", "/reports") else ""
        if case.is_about_embeddings:
            case = case.in_catalogue(catalogue)
        with requests_sent(default_manager(), default_objects()) as sent:
            answer = case.send(api, query=total)
            assert wait_for_local_tasks(20)
        assert answer.status == case.status
        assert sent
        for operation, parameters in sent:
            if operation == "CreateBucket":
                continue  # no call: the SDK looks up where the bucket is, for a form whose fields name the key
            if "Bucket" in parameters:
                prefixes = account_prefixes(owner) if case.is_about_accounts else []
                self.assert_object_of(owner, parameters, *prefixes)
            elif "limits" in str(parameters.get("TableName")):
                assert parameters["Key"] == {"user_id": {"S": owner}}
            elif "embeddings" in str(parameters.get("TableName") or parameters.get("RequestItems")):
                self.assert_embedding_of(owner, operation, parameters)
            else:
                self.assert_row_of({owner, ALICE}, operation, parameters)

    def assert_object_of(self, owner: str, parameters: dict[str, Any], *prefixes: str) -> None:
        named = parameters.get("Key") or parameters.get("Prefix")
        keys = [named] if named else [entry["Key"] for entry in parameters["Delete"]["Objects"]]
        prefixes = (f"similarity/{owner}/{quote(MODEL, safe='')}/", *prefixes)
        assert all(key.startswith(prefixes) for key in keys)

    def assert_embedding_of(self, owner: str, operation: str, parameters: dict[str, Any]) -> None:
        partition = {"S": f"{owner}#{MODEL}"}
        if operation == "Query":
            assert parameters["IndexName"] == "ModelVersionIndex"
            assert parameters["KeyConditionExpression"].lstrip("(").startswith("#owner_model = :owner_model")
            assert parameters["ExpressionAttributeNames"]["#owner_model"] == "owner_model"
            assert parameters["ExpressionAttributeValues"][":owner_model"] == partition
            assert parameters.get("ExclusiveStartKey", {"owner_model": partition})["owner_model"] == partition
            return
        if operation == "BatchWriteItem":
            (requests,) = parameters["RequestItems"].values()
            assert all(request["PutRequest"]["Item"]["owner_model"] == partition for request in requests)
            return
        if operation == "BatchGetItem":
            (wanted,) = parameters["RequestItems"].values()
            assert all(key["owner_model"] == partition for key in wanted["Keys"])
            return
        assert operation in {"GetItem", "UpdateItem"}
        assert parameters["Key"]["owner_model"] == partition
        if operation == "UpdateItem":
            assert parameters["ExpressionAttributeValues"][":caller"] == {"S": owner}
            assert "#user_id = :caller" in parameters["ConditionExpression"]

    def assert_row_of(self, owners: set[str], operation: str, parameters: dict[str, Any]) -> None:
        assert operation in {"GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query"}
        if operation == "Query":
            assert parameters["KeyConditionExpression"] == "#user_id = :caller"
            assert parameters["ExpressionAttributeValues"] == {":caller": {"S": ALICE}}
        if operation in ("UpdateItem", "DeleteItem"):
            assert parameters["ExpressionAttributeValues"][":caller"]["S"] in owners
            assert "#user_id = :caller" in parameters["ConditionExpression"]
        if operation == "PutItem":
            assert parameters["ConditionExpression"].startswith("attribute_not_exists(")
        if "users" in parameters["TableName"] and "Key" in parameters:
            assert parameters["Key"]["user_id"]["S"] in owners

    @pytest.mark.parametrize("case", EMBEDDINGS, ids=case_id)
    def test_no_name_leads_out_of_the_callers_part(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        """As a model version, as a product's id in a path, and in a body: what is read and written is the caller's."""
        insert(ALICE)
        embed(ALICE)
        embed(BOB)
        bobs = rows_of(manager, BOB)
        with requests_sent(manager, default_objects()) as sent:
            answers = [answer for name in HOSTILE_NAMES for answer in self.with_name(alice, case, name)]
            assert wait_for_local_tasks(20)
        assert {answer.status for answer in answers} <= {200, 201, 202, 204, 404, 422}
        assert rows_of(manager, BOB) == bobs
        for _, parameters in sent:
            if "Bucket" in parameters and "Delete" not in parameters:
                key = parameters.get("Key") or parameters["Prefix"]
                assert re.fullmatch(rf"similarity/{ALICE}/[A-Za-z0-9._%~-]+/.*", key)
                assert not {".", ".."} & set(key.split("/"))
                assert len(key.encode()) <= 1024
            elif "owner_model" in parameters.get("Key", {}):
                owner, _, model_version = parameters["Key"]["owner_model"]["S"].partition("#")
                assert owner == ALICE
                assert "#" not in model_version

    def with_name(self, api: Api, case: Case, name: str) -> list[Answer]:
        answers = []
        if "model_version" in case.query:
            answers.append(case.send(api, query={"model_version": name}))
        if "model_version" in (case.body or {}):
            answers.append(case.with_body(model_version=name).send(api))
        if "product_id" in (case.body or {}):
            answers.append(case.with_body(product_id=name).send(api))
        if "items" in (case.body or {}):
            item = case.body["items"][0]
            for member in ("product_id", "model_version"):
                answers.append(case.with_body(items=[{**item, member: name}]).send(api))
        if "{product_id}" in case.path:
            answers.append(case.send(api, product_id=name))
        return answers


def test_a_warm_process_answers_as_fresh_ones_do(manager: DatabaseManager, alice: Api, bob: Api) -> None:
    """A, B, A, B in one process, and each request in a process that remembers nothing."""
    for owner, api in ((ALICE, alice), (BOB, bob)):
        insert(owner, REPORT if owner == ALICE else str(uuid.uuid4()), title=f"of {owner}")
        api.get("/user/profile")
        for number in range(3 if owner == ALICE else 5):
            vector = [1.0, number] if owner == ALICE else [number, 1.0, 0.5]
            embed(owner, PRODUCT if number == 1 else f"p{number}", vector, {"of": owner, "price": number})
        build_matrix(owner)
    embed(ALICE, "of alice alone", model_version="alices")
    embed("shared", PRODUCT, [1.0], {"of": "shared", "price": 1})
    embed("shared", "p2", [2.0], {"of": "shared", "price": 2})
    build_matrix("shared")
    reads = [case for case in CASES.values() if case.method == "GET" or case.path.endswith("/search")]
    reads += [case.in_catalogue("shared") for case in reads if case.is_about_embeddings]
    order = [(api, case) for api in (alice, bob, alice, bob) for case in reads]
    warm = [case.send(api).without_request_id() for api, case in order]
    fresh = []
    for api, case in order:
        renew()
        auth._parse_header.cache_clear()
        matrix._process_tables.__init__()  # type: ignore[misc]
        fresh.append(case.send(api).without_request_id())
    assert warm == fresh
    assert len(set(warm)) > len(reads)
    for (api, _), answer in zip(order, warm, strict=True):
        assert (BOB if api is alice else ALICE) not in answer


class TestWithoutAToken:
    @pytest.mark.parametrize("case", SIGNED_IN, ids=case_id)
    def test_every_route_is_closed(self, manager: DatabaseManager, alice: Api, case: Case) -> None:
        prepare(ALICE, case)
        before = everything(manager)
        with recorded(manager, default_objects()) as calls:
            for token in [None, *GARBAGE_TOKENS]:
                assert_problem(case.send(Api(token)), 401, "unauthenticated")
        assert calls == []
        assert everything(manager) == before

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
        with recorded(manager, default_objects()) as calls:
            assert_problem(Answer(case.endpoint(event, None)), 401, "unauthenticated")
        assert calls == []

    def test_the_token_decides_where_claims_say_otherwise(self, alice: Api, manager: DatabaseManager) -> None:
        insert(BOB)
        case = CASES["GET", "/reports/{report_id}"]
        headers = {"authorization": f"Bearer {alice.token}"}
        event = dict(http_api_event(case.endpoint, f"/reports/{REPORT}", {"report_id": REPORT}, "", headers, None))
        event["requestContext"] = {**event["requestContext"], "authorizer": {"claims": {"sub": BOB}}}
        assert_problem(Answer(case.endpoint(event, None)), 404, "not-found")

    def test_groups_come_from_the_token_alone(self, alice: Api, manager: DatabaseManager, tokens: TokenFactory) -> None:
        case = CASES["POST", "/embeddings"].in_catalogue("shared")
        claims = tokens.id_claims(ALICE, ["k9-admins"])
        headers = {
            "authorization": f"Bearer {alice.token}",
            "x-amzn-oidc-data": "k9-admins",
            "cognito:groups": "k9-admins",
        }
        event = dict(http_api_event(case.endpoint, case.path, {}, "", headers, json.dumps(case.body)))
        event["requestContext"] = {**event["requestContext"], "authorizer": {"jwt": {"claims": claims}}}
        assert_problem(Answer(case.endpoint(event, None)), 403, "forbidden")
        assert rows_of(manager, "shared") == []
