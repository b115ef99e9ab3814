"""What each route of embeddings does, as a client sees it; and the two of reports that search among them."""

import json
import math
import struct
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError
from moto.core.models import botocore_stubber

from shared import tasks
from shared.config import ConfigurationError, get_settings
from shared.database import DatabaseManager, EmbeddingRepository, UserRepository
from shared.database.attributes import to_item
from shared.errors import ApiError, TooManyRequests, Unavailable
from shared.models.embedding import MAX_PRODUCT_BYTES, RESERVED_PRODUCT_IDS
from shared.models.vector import MAX_DIMENSION
from shared.scope import LAST_CALL_STARTS_BY_SECONDS
from shared.similarity.matrix import MatrixStore
from shared.similarity.objects import default_objects
from shared.similarity.summary import count_products
from shared.tasks import wait_for_local_tasks
from tests.conftest import ALICE
from tests.support.api import Answer, Api, encoded
from tests.support.cases import build_matrix, embed, every_object, every_row, rows_of
from tests.support.faults import Fault, answering, faulty, raising, requests_sent
from tests.support.problems import assert_problem
from tests.support.tokens import TokenFactory

MODEL = "m-1"
OF_MODEL = {"model_version": MODEL}
INCOMPARABLE: list[Any] = [
    *(struct.pack("<2f", *numbers) for numbers in ((1, math.nan), (math.inf, 1), (0, 0), (0.0, -0.0))),
    *(struct.pack("<3f", 1, 2, 3), [1, 2, 3], [1], [0, 0], b"abc", "text", None),
]
"""What a row of another origin may have for a vector in a model version of two dimensions."""


@pytest.fixture
def admin(manager: DatabaseManager, tokens: TokenFactory) -> Api:
    return Api.as_user("33333333-3333-4333-8333-333333333333", tokens, groups=["k9-admins"])


def body(product_id: str = "p", vector: Any = (1, 2), **members: Any) -> dict[str, Any]:
    return {"product_id": product_id, "model_version": MODEL, "embedding_vector": vector, **members}


def store(api: Api, product_id: str = "p", vector: Any = (1, 2), **product: Any) -> Answer:
    answer = api.post("/embeddings", body(product_id, vector, product=product))
    assert answer.status in (200, 201), answer.text
    return answer


def get(api: Api, product_id: str = "p", **query: str) -> Answer:
    return api.get(f"/embeddings/{encoded(product_id)}", query={**OF_MODEL, **query})


def patch(api: Api, product: Any, product_id: str = "p", **options: Any) -> Answer:
    return api.patch(f"/embeddings/{encoded(product_id)}", {"product": product}, query=OF_MODEL, **options)


def delete(api: Api, product_id: str = "p", **options: Any) -> Answer:
    return api.delete(f"/embeddings/{encoded(product_id)}", query=OF_MODEL, **options)


def search(api: Api, path: str = "/embeddings/search", **members: Any) -> Answer:
    return api.post(path, {**OF_MODEL, **members})


def ids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.text
    return [hit["product_id"] for hit in answer.json()["hits"]]


def put_row(manager: DatabaseManager, product_id: str, **attributes: Any) -> None:
    """A row of another origin, as old as it can be; None leaves an attribute out."""
    usual = {
        "product_id": product_id,
        "owner_model": f"{ALICE}#{MODEL}",
        "user_id": ALICE,
        "updated_at": "2025-01-01T00:00:00.000000Z",
        "embedding_vector": struct.pack("<2f", 1, 2),
    }
    row = {name: value for name, value in {**usual, **attributes}.items() if value is not None}
    manager.call("put_item", TableName=manager.settings.embeddings_table, Item=to_item(row))


def refuse_tasks(task: Any) -> None:
    raise ConfigurationError("no worker")


def assert_invalid(answer: Answer, *pointers: str) -> None:
    assert_problem(answer, 422, "invalid-request", pointers=pointers)


class TestStoring:
    def test_a_new_product(self, alice: Api) -> None:
        made = alice.post("/embeddings", body("p 1/\u00fc?", [1, 2.5], product={"price": 249.99, "tags": [None]}))
        assert (made.status, made.headers["ETag"]) == (201, '"1"')
        assert made.headers["Location"] == "/embeddings/p%201%2F%C3%BC%3F?model_version=m-1"
        shown = made.json()
        assert (shown["vector_dimension"], shown["version"]) == (2, 1)
        assert shown["product"] == {"price": 249.99, "tags": [None]}
        assert shown["created_at"] == shown["updated_at"]
        assert "embedding_vector" not in shown
        assert not {"user_id", "owner_model", "write_1"} & shown.keys()
        found = alice.get(*made.headers["Location"].split("?")[:1], query=made.headers["Location"].split("?")[1])
        assert found.json() == {**shown, "embedding_vector": [1, 2.5]}
        assert found.headers["ETag"] == '"1"'

    def test_its_place_names_its_model_version_unmistakably(self, alice: Api) -> None:
        made = alice.post("/embeddings", {**body("p", [1, 2]), "model_version": "m:1/a"})
        assert made.headers["Location"] == "/embeddings/p?model_version=m%3A1%2Fa"

    def test_the_first_one_makes_the_owners_row_by_the_tokens_claims(
        self, manager: DatabaseManager, alice: Api
    ) -> None:
        assert alice.post("/embeddings", body("p", [1, 2])).status == 201
        row = UserRepository(manager).get_user(ALICE)
        assert (row.name, row.email) == ("Alice Example", "alice@example.com")

    def test_a_replaced_one(self, alice: Api) -> None:
        first = store(alice, name="one").json()
        second = store(alice, vector=[3, 4], name="two")
        assert (second.status, second.headers["ETag"]) == (200, '"2"')
        assert "Location" not in second.headers
        found = get(alice).json()
        assert (found["product"], found["embedding_vector"]) == ({"name": "two"}, [3, 4])
        assert found["created_at"] == first["created_at"] < found["updated_at"]

    def test_metadata_defaults_to_none(self, alice: Api) -> None:
        assert alice.post("/embeddings", body()).json()["product"] == {}

    def test_one_stored_again_after_a_delete_is_new(self, alice: Api) -> None:
        store(alice)
        assert delete(alice).status == 204
        again = store(alice)
        assert (again.status, again.headers["ETag"]) == (201, '"3"')

    def test_versions(self, alice: Api) -> None:
        at = [{"If-Match": f'"{version}"'} for version in (1, 2)]
        assert_problem(alice.post("/embeddings", body(), headers=at[0]), 412, "precondition-failed")
        assert get(alice).status == 404
        store(alice)
        assert alice.post("/embeddings", body(vector=[5, 6]), headers=at[0]).status == 200
        assert_problem(alice.post("/embeddings", body(vector=[7, 8]), headers=at[0]), 412, "precondition-failed")
        assert get(alice).json()["embedding_vector"] == [5, 6]
        delete(alice, headers=at[1])
        for headers in ({"If-Match": '"3"'}, {"If-Match": 'W/"3"'}):
            assert_problem(alice.post("/embeddings", body(), headers=headers), 412, "precondition-failed")
        assert alice.post("/embeddings", body(), headers={"If-Match": "*"}).status == 201

    def test_a_repeat_of_one_key(self, alice: Api) -> None:
        key = {"Idempotency-Key": "k"}
        first, again = (alice.post("/embeddings", body(), headers=key) for _ in range(2))
        assert (again.status, again.text, again.headers["Location"]) == (201, first.text, first.headers["Location"])
        assert again.headers["ETag"] == '"1"'
        assert_invalid(alice.post("/embeddings", body(vector=[3, 4]), headers=key), "/header/idempotency-key")
        assert get(alice).json()["embedding_vector"] == [1, 2]

    def test_a_repeat_does_not_undo_what_came_between(self, alice: Api) -> None:
        key = {"Idempotency-Key": "k"}
        first = alice.post("/embeddings", body(), headers=key)
        delete(alice)
        repeat = alice.post("/embeddings", body(), headers=key)
        assert (repeat.status, repeat.json()["vector_dimension"]) == (201, 2)
        assert repeat.headers["Location"] == first.headers["Location"]
        for name in ("created_at", "updated_at", "product"):
            assert repeat.json()[name] == first.json()[name]
        assert get(alice).status == 404

    def test_a_repeat_after_a_change_was_created_all_the_same(self, alice: Api) -> None:
        """The very write made the product, whatever it has become."""
        key = {"Idempotency-Key": "k"}
        first = alice.post("/embeddings", body(), headers=key)
        patch(alice, {"theirs": 1})
        repeat = alice.post("/embeddings", body(), headers=key)
        assert (repeat.status, repeat.headers["ETag"]) == (201, '"2"')
        assert repeat.headers["Location"] == first.headers["Location"]
        assert repeat.json()["product"] == {"theirs": 1}

    def test_a_repeat_of_a_replacement_stays_one(self, alice: Api) -> None:
        store(alice)
        key = {"Idempotency-Key": "k"}
        for _ in range(2):
            answer = alice.post("/embeddings", body(vector=[3, 4]), headers=key)
            assert answer.status == 200
            assert "Location" not in answer.headers
            patch(alice, {"theirs": 1})

    def test_a_refused_store_makes_no_model_version(self, alice: Api) -> None:
        """Its dimension would be fixed for good, though nothing was ever stored under it."""
        headers = {"If-Match": '"7"'}
        assert_problem(alice.post("/embeddings", body(), headers=headers), 412, "precondition-failed")
        assert alice.get("/embeddings/models").json() == {"models": []}
        assert store(alice, vector=[1, 2, 3]).status == 201
        assert_invalid(alice.post("/embeddings", body(), headers=headers), "/body/embedding_vector")

    @pytest.mark.parametrize(
        "vector",
        [
            [],
            [0],
            [0, 0.0, -0.0],
            [1e-60, 0],
            [1] * (MAX_DIMENSION + 1),
            [True, 1],
            [1, "2"],
            [1, None],
            [[1], [2]],
            {"0": 1},
            "AAAA",
            None,
            1,
            [1e39, 1],
            [10**400, 1],
        ],
        ids=lambda vector: repr(vector)[:24],
    )
    def test_what_is_no_vector(self, manager: DatabaseManager, alice: Api, vector: Any) -> None:
        assert_invalid(alice.post("/embeddings", body(vector=vector)), "/body/embedding_vector")
        store(alice, "q")
        pointer = "/body" if vector is None else "/body/embedding_vector"
        assert_invalid(search(alice, embedding_vector=vector), pointer)
        assert len(rows_of(manager, ALICE)) == 2

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e400"])
    def test_what_is_no_number(self, manager: DatabaseManager, alice: Api, number: str) -> None:
        for path, members in (("/embeddings", body()), ("/embeddings/search", OF_MODEL)):
            text = json.dumps({**members, "embedding_vector": ["here", 1]}).replace('"here"', number)
            assert_invalid(alice.post(path, text), "/body/embedding_vector")
        assert every_row(manager)[manager.settings.embeddings_table] == []

    def test_the_largest_vector(self, alice: Api) -> None:
        vector = [math.sin(number) for number in range(1, MAX_DIMENSION + 1)]
        store(alice, vector=vector)
        assert get(alice).json()["embedding_vector"] == pytest.approx(vector, rel=1e-7)

    def test_another_dimension(self, alice: Api) -> None:
        store(alice)
        assert_invalid(alice.post("/embeddings", body("q", [1, 2, 3])), "/body/embedding_vector")
        assert "3 components" in alice.post("/embeddings", body("q", [1, 2, 3])).text
        assert alice.post("/embeddings", {**body("q", [1, 2, 3]), "model_version": "m-2"}).status == 201
        assert get(alice, "q").status == 404

    @pytest.mark.parametrize(
        "product_id", [*sorted(RESERVED_PRODUCT_IDS), "", "x" * 257, "a\nb", "\x00", ".", "..", 7, None]
    )
    def test_an_id_that_is_none(self, manager: DatabaseManager, alice: Api, product_id: Any) -> None:
        assert_invalid(alice.post("/embeddings", body(product_id)), "/body/product_id")
        (result,) = alice.post("/embeddings/batch", {"items": [body(product_id)]}).json()["results"]
        assert (result["status"], result["product_id"]) == (422, product_id if isinstance(product_id, str) else None)
        assert [error["pointer"] for error in result["errors"]] == ["/body/items/0/product_id"]
        assert every_row(manager)[manager.settings.embeddings_table] == []

    @pytest.mark.parametrize("product_id", ["x" * 257, "a\nb", "\x00", "map", ".", ".."])
    def test_an_id_that_is_none_in_a_path(self, alice: Api, product_id: str) -> None:
        path = f"/embeddings/{encoded(product_id)}"
        for answer in (
            alice.get(path, query=OF_MODEL),
            alice.patch(path, {"product": {}}, query=OF_MODEL),
            alice.delete(path, query=OF_MODEL),
            alice.get(f"/embeddings/similarity/{encoded(product_id)}", query=OF_MODEL),
        ):
            assert_invalid(answer, "/path/product_id")

    @pytest.mark.parametrize("word", sorted(RESERVED_PRODUCT_IDS))
    def test_a_reserved_word_in_a_path(self, alice: Api, word: str) -> None:
        assert_invalid(alice.delete(f"/embeddings/{word}", query=OF_MODEL), "/path/product_id")
        assert_invalid(alice.patch(f"/embeddings/{word}", {"product": {}}, query=OF_MODEL), "/path/product_id")

    def test_awkward_ids(self, alice: Api) -> None:
        awkward = [
            "a b",
            "100%25",
            "%2F",
            "caf\u00e9 \U0001f436",
            "...",
            ". ",
            "a?b#c",
            "a/b/../c",
            "../x",
            "Batch",
            "search ",
            "x" * 256,
        ]
        for product_id in awkward:
            store(alice, product_id, name=product_id)
        for product_id in awkward:
            assert get(alice, product_id).json()["product"] == {"name": product_id}
            assert patch(alice, {"seen": True}, product_id).status == 200
            assert delete(alice, product_id).status == 204
        assert alice.get("/embeddings", query=OF_MODEL).json()["embeddings"] == []

    @pytest.mark.parametrize("name", ["", "-m", ".m", "m m", "m#1", "m" * 129, "\u00fc", "m\n", "m%20", None, 1])
    def test_a_name_that_is_none_of_a_model_version(self, alice: Api, name: Any) -> None:
        assert_invalid(alice.post("/embeddings", {**body(), "model_version": name}), "/body/model_version")
        assert_invalid(
            alice.post("/embeddings/search", {"model_version": name, "product_id": "p"}), "/body/model_version"
        )
        if isinstance(name, str):
            assert_invalid(alice.get("/embeddings", query={"model_version": name}), "/query/model_version")

    def test_a_query_that_names_no_model_version(self, alice: Api) -> None:
        for path in ("/embeddings", "/embeddings/p", "/embeddings/similarity", "/embeddings/similarity/p"):
            assert_invalid(alice.get(path), "/query/model_version")

    @pytest.mark.parametrize("value", [None, [], "x", 1, True], ids=repr)
    def test_what_has_to_be_an_object_is_told_in_words_of_json(self, alice: Api, value: Any) -> None:
        store(alice)
        for answer in (
            alice.post("/embeddings", body(product=value)),
            patch(alice, value),
            alice.post("/embeddings/delete", {**OF_MODEL, "filter": value}),
        ):
            assert answer.status == 422
            assert [error["message"] for error in answer.json()["errors"]] == ["must be a JSON object"]

    def test_both_references_are_one_too_many(self, alice: Api) -> None:
        (error,) = search(alice, product_id="p", embedding_vector=[1, 2]).json()["errors"]
        assert error == {"pointer": "/body", "message": "needs exactly one of embedding_vector and product_id"}

    def test_metadata_that_cannot_be_kept(self, alice: Api) -> None:
        text = json.dumps(body(product={"x": "here"}))
        assert_invalid(alice.post("/embeddings", text.replace('"here"', "1e200")), "/body/product/x")
        assert_invalid(alice.post("/embeddings", body(product={"x": "x" * MAX_PRODUCT_BYTES})), "/body/product")
        assert_invalid(alice.post("/embeddings", body(product=[])), "/body/product")

    def test_the_model_versions_are_limited(self, alice: Api, manager: DatabaseManager) -> None:
        full = {f"m{number}": {"dimension": 2, "created_at": "2026-01-01T00:00:00.000000Z"} for number in range(100)}
        manager.get_users_table().put_item(Item={"user_id": ALICE, "models": full})
        assert_problem(alice.post("/embeddings", body()), 409, "conflict")
        assert alice.post("/embeddings", {**body(), "model_version": "m7"}).status == 201


class TestOneProduct:
    def test_with_or_without_its_vector(self, alice: Api) -> None:
        store(alice, vector=[0.1, -3])
        assert get(alice).json()["embedding_vector"] == [0.1, -3]
        assert "embedding_vector" not in get(alice, include_vectors="false").json()
        assert_invalid(get(alice, include_vectors="perhaps"), "/query/include_vectors")

    def test_new_metadata_leaves_the_vector(self, alice: Api) -> None:
        store(alice, a=1, b=2)
        changed = patch(alice, {"c": None})
        assert (changed.status, changed.headers["ETag"], changed.json()["product"]) == (200, '"2"', {"c": None})
        assert get(alice).json()["embedding_vector"] == [1, 2]
        assert_problem(patch(alice, {}, headers={"If-Match": '"1"'}), 412, "precondition-failed")
        assert patch(alice, {}, headers={"If-Match": '"2"'}).json()["product"] == {}
        assert_problem(patch(alice, {}, "q"), 404, "not-found")
        assert_invalid(alice.patch("/embeddings/p", {}, query=OF_MODEL), "/body")

    def test_a_repeated_change(self, alice: Api) -> None:
        store(alice)
        key = {"Idempotency-Key": "k"}
        first = patch(alice, {"a": 1}, headers=key)
        patch(alice, {"b": 1})
        repeat = patch(alice, {"a": 1}, headers=key)
        assert (first.headers["ETag"], repeat.headers["ETag"], repeat.json()["product"]) == ('"2"', '"3"', {"b": 1})
        assert_invalid(patch(alice, {"c": 1}, headers=key), "/header/idempotency-key")

    def test_deleting(self, alice: Api) -> None:
        store(alice)
        assert_problem(delete(alice, headers={"If-Match": '"2"'}), 412, "precondition-failed")
        gone = delete(alice, headers={"If-Match": '"1"'})
        assert (gone.status, gone.text) == (204, "")
        for answer in (get(alice), delete(alice), patch(alice, {})):
            assert_problem(answer, 404, "not-found")

    def test_a_repeated_delete_is_recognised(self, alice: Api) -> None:
        store(alice)
        key = {"Idempotency-Key": "k"}
        assert [delete(alice, headers=key).status for _ in range(2)] == [204, 204]
        store(alice)
        assert delete(alice, headers=key).status == 204
        assert get(alice).status == 200


class TestBatch:
    def send(self, api: Api, *items: Any, **options: Any) -> Any:
        answer = api.post("/embeddings/batch", {"items": list(items)}, **options)
        assert answer.status == 200, answer.text
        return answer.json()

    def test_every_item_has_its_result_in_order(self, alice: Api) -> None:
        store(alice, "old")
        bad = [
            body("bad", ["x"]),
            body("bad", [1, 2, 3]),
            {"product_id": "bad"},
            "bad",
            None,
            body("map"),
            body("x" * 300),
        ]
        told = self.send(alice, body("a"), bad[0], body("old"), *bad[1:], body("b"))
        assert [result["status"] for result in told["results"]] == [201, 422, 200, 422, 422, 422, 422, 422, 422, 201]
        assert [result["index"] for result in told["results"]] == list(range(10))
        assert (told["stored"], told["failed"]) == (3, 7)
        assert told["results"][0] == {"index": 0, "product_id": "a", "status": 201, "version": 1}
        assert told["results"][2]["version"] == 2
        pointers = [[error["pointer"] for error in result.get("errors", [])] for result in told["results"]]
        assert pointers[1] == ["/body/items/1/embedding_vector"]
        assert pointers[3] == ["/body/items/3/embedding_vector"]
        assert pointers[4] == ["/body/items/4/model_version", "/body/items/4/embedding_vector"]
        assert pointers[5] == ["/body/items/5"]
        assert {result["problem"] for result in told["results"] if result["status"] == 422} == {"invalid-request"}
        listed = alice.get("/embeddings", query=OF_MODEL).json()["embeddings"]
        assert {row["product_id"] for row in listed} == {"a", "b", "old"}

    def test_a_product_is_in_it_once(self, alice: Api) -> None:
        other = {**body(), "model_version": "m-2"}
        told = self.send(alice, body(vector=[1, 1]), body(vector=[2, 2]), other)
        assert [result["status"] for result in told["results"]] == [201, 422, 201]
        assert told["results"][1]["errors"][0]["pointer"] == "/body/items/1/product_id"
        assert get(alice).json()["embedding_vector"] == [1, 1]

    @pytest.mark.parametrize("items", [[], [1] * 101, None, {}, "x"])
    def test_what_is_no_batch(self, alice: Api, items: Any) -> None:
        assert_invalid(alice.post("/embeddings/batch", {"items": items}), "/body/items")

    def test_a_hundred(self, alice: Api) -> None:
        told = self.send(alice, *(body(f"p{number}") for number in range(100)))
        assert (told["stored"], told["failed"]) == (100, 0)

    def test_it_takes_no_version(self, manager: DatabaseManager, alice: Api) -> None:
        answer = alice.post("/embeddings/batch", {"items": [body()]}, headers={"If-Match": '"1"'})
        assert_problem(answer, 400, "malformed-request", pointers=["/header/if-match"])
        assert rows_of(manager, ALICE) == []

    def test_what_an_item_calls_itself_is_told_whatever_else_is_wrong(self, alice: Api) -> None:
        told = self.send(alice, body("a", ["x"]), {"product_id": "b"}, {"product_id": 7}, {}, 3, [], body("map"))
        shown = [result["product_id"] for result in told["results"]]
        assert shown == ["a", "b", None, None, None, None, "map"]

    def test_an_id_that_is_no_unicode_is_not_repeated(self, alice: Api) -> None:
        """No answer that holds it could be sent, and the other item is stored."""
        text = json.dumps({"items": [body("\ud800"), body("a")]})
        answer = alice.post("/embeddings/batch", text)
        answer.text.encode()
        assert [result["product_id"] for result in answer.json()["results"]] == [None, "a"]

    def test_an_item_that_is_no_object_is_told_in_words_of_json(self, alice: Api) -> None:
        items: list[Any] = [3, None, "x", [], True]
        for item in items:
            (result,) = self.send(alice, item)["results"]
            assert result["errors"] == [{"pointer": "/body/items/0", "message": "must be a JSON object"}]

    def test_a_repeat_after_a_change_says_what_it_said(self, alice: Api) -> None:
        """201 again for what this batch made; the version is the row's of now."""
        store(alice, "old")
        key = {"Idempotency-Key": "k"}
        items = [body("a"), body("old"), body("b")]
        first = self.send(alice, *items, headers=key)
        patch(alice, {"n": 1}, "a")
        patch(alice, {"n": 1}, "old")
        delete(alice, "b")
        again = self.send(alice, *items, headers=key)
        for told in (first, again):
            assert [result["status"] for result in told["results"]] == [201, 200, 201]
        assert get(alice, "b").status == 404

    def test_a_repeat_of_one_key(self, alice: Api) -> None:
        key = {"Idempotency-Key": "k"}
        items = [body("a"), body("b"), body("map")]
        first = self.send(alice, *items, headers=key)
        assert self.send(alice, *items, headers=key) == first
        told = self.send(alice, *items[:2], headers=key)
        assert [result["status"] for result in told["results"]] == [422, 422]
        assert told["results"][0]["errors"][0]["pointer"].endswith("idempotency-key")
        assert get(alice, "a").json()["version"] == 1

    def test_what_is_throttled_is_told_and_the_others_are_stored(
        self, manager: DatabaseManager, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.database.parallel._THROTTLED_FOR_SECONDS", 0)
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        store(alice, "first")
        throttled = answering(400, "ThrottlingException")

        def by_product(request: AWSPreparedRequest) -> AWSResponse:
            if b'"slow' in (request.body or b""):
                return throttled(request)
            answer = botocore_stubber("before-send", request)
            assert answer is not None
            return answer

        names = ["a", "slow 1", "b", "slow 2", "map", "c"]
        with faulty(manager, by_product) as fault:
            told = self.send(alice, *map(body, names))
        assert fault.fired
        assert [result["status"] for result in told["results"]] == [201, 429, 201, 429, 422, 201]
        assert told["results"][1]["problem"] == "too-many-requests"
        assert [get(alice, name).status for name in ("a", "slow 1", "b", "slow 2", "c")] == [200, 404, 200, 404, 200]

    def test_an_outcome_that_is_not_known_is_told(
        self, manager: DatabaseManager, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        store(alice, "first")
        with faulty(manager, answering(500, "InternalServerError")) as fault:
            told = self.send(alice, body("a"))
        assert fault.fired
        assert (told["results"][0]["status"], told["results"][0]["problem"]) == (503, "outcome-unknown")


class TestSharedCatalogue:
    GROUPS: tuple[list[str], ...] = ([], ["Admins"], ["k9-admins "], ["K9-ADMINS"], ["k9", "admins"])

    def writes(self, api: Api) -> list[Answer]:
        shared = {"catalogue": "shared"}
        query = {**OF_MODEL, **shared}
        return [
            api.post("/embeddings", {**body(), **shared}),
            api.post("/embeddings/batch", {"items": [body()], **shared}),
            api.patch("/embeddings/p", {"product": {"x": 1}}, query=query),
            api.delete("/embeddings/p", query=query),
            api.post("/embeddings/delete", {**OF_MODEL, "filter": {}, **shared}),
            api.post("/embeddings/delete", {**OF_MODEL, "filter": {}, "dry_run": True, **shared}),
            api.post("/embeddings/similarity", {**OF_MODEL, **shared}),
        ]

    def test_who_is_refused_is_told_the_group(self, alice: Api) -> None:
        for answer in self.writes(alice):
            assert answer.json()["detail"] == "Only members of the group k9-admins may do this."

    def test_it_is_written_by_admins_alone(self, manager: DatabaseManager, tokens: TokenFactory) -> None:
        embed("shared", "p", [1, 2], model_version=MODEL)
        before = every_row(manager), every_object()
        for groups in self.GROUPS:
            for answer in self.writes(Api.as_user(ALICE, tokens, groups=groups)):
                assert_problem(answer, 403, "forbidden")
        assert (every_row(manager), every_object()) == before

    def test_it_is_read_by_all(self, alice: Api, bob: Api, admin: Api) -> None:
        made = admin.post("/embeddings", {**body(product={"n": 1}), "catalogue": "shared"})
        assert made.status == 201
        assert made.headers["Location"] == "/embeddings/p?model_version=m-1&catalogue=shared"
        admin.post("/embeddings", {**body("q", [2, 1]), "catalogue": "shared"})
        assert admin.post("/embeddings/similarity", {**OF_MODEL, "catalogue": "shared"}).status == 202
        assert wait_for_local_tasks(20)
        query = {**OF_MODEL, "catalogue": "shared"}
        for api in (alice, bob):
            assert api.get("/embeddings/p", query=query).json()["product"] == {"n": 1}
            assert len(api.get("/embeddings", query=query).json()["embeddings"]) == 2
            assert api.get("/embeddings/models", query={"catalogue": "shared"}).json()["models"][0]["count"] == 2
            assert ids(search(api, product_id="p", catalogue="shared")) == ["q"]
            assert api.get("/embeddings/similarity", query=query).json()["state"] == "done"
            assert api.get("/embeddings/similarity/p", query=query).json()["neighbors"][0]["product_id"] == "q"
            assert get(api).status == 404
            assert_invalid(search(api, product_id="p"), "/body/model_version")
            assert api.get("/embeddings/models").json() == {"models": []}

    def test_admins_write_it_everywhere(self, admin: Api) -> None:
        assert [answer.status for answer in self.writes(admin)] == [201, 200, 200, 204, 200, 200, 202]

    def test_an_admins_own_products_are_not_shared(self, alice: Api, admin: Api) -> None:
        store(admin)
        assert get(admin).status == 200
        assert get(alice, catalogue="shared").status == 404

    @pytest.mark.parametrize("catalogue", ["", "Shared", "all", "bob"])
    def test_there_are_two(self, alice: Api, catalogue: str) -> None:
        assert_invalid(get(alice, catalogue=catalogue), "/query/catalogue")
        assert_invalid(search(alice, product_id="p", catalogue=catalogue), "/body/catalogue")

    @pytest.mark.parametrize("sub", ["shared", "a#b", f"{ALICE}#m-1", "#", "..", ".", "a b", "\u00fc" * 128, "-x"])
    def test_an_account_that_would_pass_for_another(
        self, manager: DatabaseManager, tokens: TokenFactory, sub: str
    ) -> None:
        embed("shared", "p", [1, 2], model_version=MODEL)
        before = every_row(manager), every_object()
        api = Api.as_user(sub, tokens, groups=["k9-admins"])
        for answer in (
            api.post("/embeddings", body()),
            api.post("/embeddings/batch", {"items": [body()]}),
            get(api),
            patch(api, {}),
            delete(api),
            api.get("/embeddings", query=OF_MODEL),
            api.get("/embeddings/models"),
            api.post("/embeddings/delete", {**OF_MODEL, "filter": {}}),
            search(api, embedding_vector=[1, 2]),
            api.post("/embeddings/similarity", OF_MODEL),
            api.get("/embeddings/similarity", query=OF_MODEL),
            api.get("/embeddings/similarity/p", query=OF_MODEL),
        ):
            assert_problem(answer, 403, "forbidden")
        assert (every_row(manager), every_object()) == before


class TestListing:
    def test_the_newest_change_comes_first(self, alice: Api) -> None:
        for number in range(5):
            store(alice, f"p{number}", n=number)
        patch(alice, {"n": "new"}, "p1")
        delete(alice, "p3")
        walked, cursor = [], None
        for _ in range(5):
            query = {**OF_MODEL, "limit": "2", **({"cursor": cursor} if cursor else {})}
            page = alice.get("/embeddings", query=query).json()
            walked += [row["product_id"] for row in page["embeddings"]]
            assert page["has_more"] is (page["next_cursor"] is not None)
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert walked == ["p1", "p4", "p2", "p0"]

    def test_vectors_are_shown_where_they_are_asked_for(self, alice: Api) -> None:
        store(alice, vector=[0.5, 2])
        (row,) = alice.get("/embeddings", query=OF_MODEL).json()["embeddings"]
        assert "embedding_vector" not in row
        assert row["vector_dimension"] == 2
        (row,) = alice.get("/embeddings", query={**OF_MODEL, "include_vectors": "true"}).json()["embeddings"]
        assert row["embedding_vector"] == [0.5, 2]

    def test_an_unknown_model_version_is_told(self, alice: Api) -> None:
        """A mistyped one must not look as if there were no products."""
        assert_invalid(alice.get("/embeddings", query=OF_MODEL), "/query/model_version")
        store(alice)
        assert_invalid(alice.get("/embeddings", query={"model_version": "m-2"}), "/query/model_version")
        assert_invalid(alice.get("/embeddings", query={**OF_MODEL, "catalogue": "shared"}), "/query/model_version")

    def test_one_that_is_known_may_have_no_products(self, alice: Api) -> None:
        store(alice)
        delete(alice)
        assert alice.get("/embeddings", query=OF_MODEL).json() == {
            "embeddings": [],
            "next_cursor": None,
            "has_more": False,
        }

    def test_a_number_that_cannot_be_had_in_time_is_null(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        """The names, dimensions and times are shown all the same, though no time is left for anything."""
        store(alice)
        last = alice.post("/embeddings", {**body(vector=[1, 2, 3]), "model_version": "slow"}).json()["updated_at"]
        passed = 0.0
        count = count_products

        def counted(objects: Any, repository: Any, owner: str, model_version: str) -> int:
            nonlocal passed
            if model_version == "slow":
                passed = LAST_CALL_STARTS_BY_SECONDS + 1
            return count(objects, repository, owner, model_version)

        monkeypatch.setattr("shared.scope.time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed))
        monkeypatch.setattr("handlers.embeddings.list_models.count_products", counted)
        answer = alice.get("/embeddings/models")
        assert answer.status == 200, answer.text
        assert answer.json()["models"][1] == {
            "model_version": "slow",
            "vector_dimension": 3,
            "count": None,
            "updated_at": last,
        }

    @pytest.mark.parametrize(
        "failure", [TooManyRequests(), Unavailable("The database does not answer.")], ids=lambda value: value.slug
    )
    def test_one_slow_model_version_leaves_the_others_their_numbers(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch, failure: ApiError
    ) -> None:
        store(alice)
        alice.post("/embeddings", {**body(), "model_version": "slow"})
        count = count_products

        def counted(objects: Any, repository: Any, owner: str, model_version: str) -> int:
            if model_version == "slow":
                raise failure
            return count(objects, repository, owner, model_version)

        monkeypatch.setattr("handlers.embeddings.list_models.count_products", counted)
        told = alice.get("/embeddings/models").json()["models"]
        assert {model["model_version"]: model["count"] for model in told} == {MODEL: 1, "slow": None}

    @pytest.mark.parametrize("include_vectors", ["true", "false"])
    def test_rows_of_another_origin(self, manager: DatabaseManager, alice: Api, include_vectors: str) -> None:
        """They keep nothing else from being shown, and are shown with what is known of them."""
        store(alice, "good")
        put_row(manager, "bare", model_version=None)
        put_row(manager, "list", embedding_vector=[0.5, 2], product={"n": 1})
        put_row(manager, "nobody's", user_id=None)
        put_row(manager, "another's", user_id="bob")
        page = alice.get("/embeddings", query={**OF_MODEL, "include_vectors": include_vectors}).json()
        shown = {row["product_id"]: row for row in page["embeddings"]}
        assert shown.keys() == {"good", "bare", "list"}
        assert {row["model_version"] for row in shown.values()} == {MODEL}
        assert {row["vector_dimension"] for row in shown.values()} == {2}
        assert get(alice, "bare").json()["model_version"] == MODEL
        (model,) = alice.get("/embeddings/models").json()["models"]
        assert model["count"] == 3
        assert set(ids(search(alice, embedding_vector=[1, 2]))) == shown.keys()
        for product_id in ("nobody's", "another's"):
            assert get(alice, product_id).status == 404

    def test_a_newest_row_that_is_nobodys_is_not_the_last_change(self, manager: DatabaseManager, alice: Api) -> None:
        last = store(alice).json()["updated_at"]
        for number in range(3):
            put_row(manager, f"nobody's {number}", user_id=None, updated_at=f"2999-01-0{number + 1}T00:00:00.000000Z")
        (model,) = alice.get("/embeddings/models").json()["models"]
        assert (model["updated_at"], model["count"]) == (last, 1)

    @pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "1.5", ""])
    def test_a_limit_that_is_none(self, alice: Api, limit: str) -> None:
        assert_invalid(alice.get("/embeddings", query={**OF_MODEL, "limit": limit}), "/query/limit")

    def test_models(self, alice: Api) -> None:
        assert alice.get("/embeddings/models").json() == {"models": []}
        store(alice, "a")
        last = store(alice, "b").json()["updated_at"]
        alice.post("/embeddings", {**body(vector=[1, 2, 3]), "model_version": "a-model"})
        delete(alice, "a")
        first, second = alice.get("/embeddings/models").json()["models"]
        assert (first["model_version"], first["vector_dimension"], first["count"]) == ("a-model", 3, 1)
        assert (second["model_version"], second["vector_dimension"], second["count"]) == (MODEL, 2, 1)
        assert second["updated_at"] > last
        build_matrix(ALICE, MODEL)
        store(alice, "c")
        delete(alice, "b")
        assert alice.get("/embeddings/models").json()["models"][1]["count"] == 1


class TestDeletingByFilter:
    @pytest.fixture(autouse=True)
    def small_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.database.embedding_deletion.STEP_ROWS", 3)
        monkeypatch.setattr("shared.database.parallel._THROTTLED_FOR_SECONDS", 0)
        monkeypatch.setattr("time.sleep", lambda seconds: None)

    def step(self, api: Api, continuation: str | None = None, **members: Any) -> Answer:
        return api.post("/embeddings/delete", {**OF_MODEL, "filter": {}, "continuation": continuation, **members})

    def walk(self, api: Api, **members: Any) -> tuple[int, int, int]:
        """How many were examined, matched and deleted in all steps together."""
        total, continuation = [0, 0, 0], None
        for _ in range(20):
            told = self.step(api, continuation, **members).json()
            total = [
                sum(pair) for pair in zip(total, (told["examined"], told["matched"], told["deleted"]), strict=True)
            ]
            continuation = told["continuation"]
            if continuation is None:
                return total[0], total[1], total[2]
        raise AssertionError("the walk did not end")

    def left(self, api: Api) -> list[str]:
        page = api.get("/embeddings", query={**OF_MODEL, "limit": "100"}).json()
        return sorted(row["product_id"] for row in page["embeddings"])

    def stored(self, api: Api, count: int = 8) -> None:
        for number in range(count):
            store(api, f"p{number}", kind="dog" if number % 2 else "cat", n=number)

    def test_what_matches_goes_step_by_step(self, alice: Api) -> None:
        self.stored(alice)
        first = self.step(alice, filter={"kind": "dog"}).json()
        assert (first["examined"], first["matched"], first["deleted"], first["dry_run"]) == (3, 1, 1, False)
        assert self.walk(alice, filter={"kind": "dog"}) == (7, 3, 3)
        assert self.left(alice) == ["p0", "p2", "p4", "p6"]
        assert self.walk(alice) == (4, 4, 4)
        assert self.left(alice) == []

    def test_a_dry_run_tells_and_deletes_nothing(self, manager: DatabaseManager, alice: Api) -> None:
        self.stored(alice)
        before = every_row(manager)
        assert self.walk(alice, filter={"n": {"$gte": 5}}, dry_run=True) == (8, 3, 0)
        assert every_row(manager) == before

    def test_a_step_that_fails_midway_begins_again_there(self, manager: DatabaseManager, alice: Api) -> None:
        self.stored(alice, 3)
        throttled = answering(400, "ThrottlingException")

        def by_product(request: AWSPreparedRequest) -> AWSResponse:
            if b'"p1"' in (request.body or b"") and b"UpdateItem" in request.headers["X-Amz-Target"]:
                return throttled(request)
            answer = botocore_stubber("before-send", request)
            assert answer is not None
            return answer

        with faulty(manager, by_product):
            told = self.step(alice).json()
        assert (told["examined"], told["matched"], told["deleted"]) == (3, 3, 2)
        assert told["continuation"] is not None
        assert self.left(alice) == ["p1"]
        rest = self.step(alice, told["continuation"]).json()
        assert (rest["deleted"], self.left(alice)) == (1, [])

    def test_the_very_first_row_may_fail(self, manager: DatabaseManager, alice: Api) -> None:
        self.stored(alice, 3)

        def by_product(request: AWSPreparedRequest) -> AWSResponse:
            if b'"p0"' in (request.body or b"") and b"UpdateItem" in request.headers["X-Amz-Target"]:
                return answering(500, "InternalServerError")(request)
            answer = botocore_stubber("before-send", request)
            assert answer is not None
            return answer

        with faulty(manager, by_product):
            told = self.step(alice).json()
        assert (told["deleted"], self.left(alice)) == (2, ["p0"])
        assert self.step(alice, told["continuation"]).json()["deleted"] == 1

    def test_a_step_that_could_do_nothing_fails(self, manager: DatabaseManager, alice: Api) -> None:
        self.stored(alice, 3)
        with faulty(manager, answering(400, "ThrottlingException"), after=1) as fault:
            answer = self.step(alice)
        assert fault.fired
        assert_problem(answer, 429, "too-many-requests")
        assert len(self.left(alice)) == 3

    def test_what_changed_meanwhile_is_met_again(self, manager: DatabaseManager, alice: Api) -> None:
        self.stored(alice, 4)
        others = EmbeddingRepository(DatabaseManager())

        def meanwhile(request: AWSPreparedRequest) -> AWSResponse:
            answer = botocore_stubber("before-send", request)
            others.update_product("p0", ALICE, MODEL, {"kind": "bird"})
            others.update_product("p1", ALICE, MODEL, {"kind": "cat", "changed": True})
            others.delete_embedding("p2", ALICE, MODEL)
            assert answer is not None
            return answer

        with faulty(manager, meanwhile, times=1):
            told = self.step(alice, filter={"kind": {"$in": ["cat", "dog"]}}).json()
        assert (told["matched"], told["deleted"]) == (3, 0)
        assert told["continuation"] is not None
        rest = self.step(alice, told["continuation"], filter={"kind": {"$in": ["cat", "dog"]}}).json()
        assert rest["deleted"] == 2
        assert self.left(alice) == ["p0"]

    def test_it_takes_no_version(self, manager: DatabaseManager, alice: Api) -> None:
        store(alice)
        before = every_row(manager)
        for members in ({}, {"dry_run": True}):
            answer = alice.post(
                "/embeddings/delete", {**OF_MODEL, "filter": {}, **members}, headers={"If-Match": '"1"'}
            )
            assert_problem(answer, 400, "malformed-request", pointers=["/header/if-match"])
        assert every_row(manager) == before

    def test_rows_of_another_origin_go_too(self, manager: DatabaseManager, alice: Api) -> None:
        """What they lack is known from their key; one that names no owner is nobody's, and stays."""
        store(alice)
        put_row(manager, "bare", model_version=None)
        put_row(manager, "foreign", user_id=None)
        assert self.walk(alice) == (2, 2, 2)
        assert self.left(alice) == []
        left = every_row(manager)[manager.settings.embeddings_table]
        assert [row["product_id"]["S"] for row in left if "deleted_at" not in row] == ["foreign"]

    def test_a_filter_has_to_be_given(self, manager: DatabaseManager, alice: Api) -> None:
        store(alice)
        assert_invalid(alice.post("/embeddings/delete", OF_MODEL), "/body/filter")
        assert_invalid(self.step(alice, filter=None), "/body/filter")
        assert_invalid(self.step(alice, filter={"$where": "1"}), "/body/filter/$where")
        assert_invalid(alice.post("/embeddings/delete", {"model_version": "m-9", "filter": {}}), "/body/model_version")
        assert_invalid(self.step(alice, dry_run="yes"), "/body/dry_run")
        assert_problem(self.step(alice, "junk"), 400, "malformed-request")
        assert self.left(alice) == ["p"]


class TestSearching:
    @pytest.fixture(autouse=True)
    def products(self, alice: Api) -> None:
        for name, vector, price in (("a", [1, 0], 1), ("b", [0.9, 0.1], 2), ("c", [0, 3], 3), ("d", [-1, 0], 4)):
            store(alice, name, vector, price=price)

    def test_by_a_vector(self, alice: Api) -> None:
        answer = search(alice, embedding_vector=[2, 0])
        assert ids(answer) == ["a", "b", "c", "d"]
        told = answer.json()
        assert (told["metric"], told["higher_is_better"], told["model_version"]) == ("cosine", True, MODEL)
        assert [hit["score"] for hit in told["hits"]] == pytest.approx([1, 0.9 / math.hypot(0.9, 0.1), 0, -1])
        assert told["hits"][0] == {"product_id": "a", "score": 1.0, "product": {"price": 1}}

    def test_by_a_product_which_is_not_found_itself(self, alice: Api) -> None:
        assert ids(search(alice, product_id="a")) == ["b", "c", "d"]
        assert ids(search(alice, product_id="a", top_k=1)) == ["b"]

    def test_metrics(self, alice: Api) -> None:
        assert ids(search(alice, embedding_vector=[0.1, 1], metric="dot")) == ["c", "b", "a", "d"]
        near = search(alice, embedding_vector=[1, 0], metric="euclidean").json()["hits"]
        assert [hit["product_id"] for hit in near] == ["a", "b", "d", "c"]
        assert [hit["score"] for hit in near] == pytest.approx([0, -math.hypot(0.1, 0.1), -2, -math.hypot(1, 3)])

    def test_options(self, alice: Api) -> None:
        assert ids(search(alice, embedding_vector=[1, 0], min_score=0.5)) == ["a", "b"]
        assert ids(search(alice, embedding_vector=[1, 0], min_score=1)) == ["a"]
        assert ids(search(alice, embedding_vector=[1, 0], metric="euclidean", min_score=-0.5)) == ["a", "b"]
        assert ids(search(alice, embedding_vector=[1, 0], filter={"price": {"$gt": 1, "$lt": 4}})) == ["b", "c"]
        assert ids(search(alice, embedding_vector=[1, 0], filter={"none": 1})) == []
        assert ids(search(alice, embedding_vector=[1, 0], top_k=2, diversity=0.9)) != ["a", "b"]
        with_vectors = search(alice, embedding_vector=[1, 0], top_k=1, include_vectors=True).json()["hits"]
        assert with_vectors[0]["embedding_vector"] == [1, 0]

    @pytest.mark.parametrize(
        ("members", "pointer"),
        [
            ({"top_k": 0}, "/body/top_k"),
            ({"top_k": 101}, "/body/top_k"),
            ({"top_k": "1"}, "/body/top_k"),
            ({"top_k": True}, "/body/top_k"),
            ({"min_score": "1"}, "/body/min_score"),
            ({"min_score": True}, "/body/min_score"),
            ({"min_score": 10**400}, "/body/min_score"),
            ({"metric": "manhattan"}, "/body/metric"),
            ({"diversity": 1.5}, "/body/diversity"),
            ({"diversity": -0.1}, "/body/diversity"),
            ({"diversity": 0.5, "metric": "dot"}, "/body"),
            ({"diversity": 0.5, "metric": "euclidean"}, "/body"),
            ({"filter": {"price": {"$gtt": 1}}}, "/body/filter/price/$gtt"),
            ({"filter": {"a/b": {"$in": 1}}}, "/body/filter/a~1b/$in"),
            ({"filter": {"$or": []}}, "/body/filter/$or"),
            ({"filter": {"x": {"$gt": None}}}, "/body/filter/x/$gt"),
            ({"filter": []}, "/body/filter"),
            ({"product_id": "a"}, "/body"),
            ({"embedding_vector": [1, 2, 3]}, "/body/embedding_vector"),
            ({"include_vectors": 1}, "/body/include_vectors"),
            ({"model_version": "unknown"}, "/body/model_version"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_what_is_refused(self, alice: Api, members: dict[str, Any], pointer: str) -> None:
        assert_invalid(search(alice, **{"embedding_vector": [1, 0], **members}), pointer)

    @pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
    def test_a_score_that_is_no_number(self, alice: Api, number: str) -> None:
        text = json.dumps({**OF_MODEL, "embedding_vector": [1, 0], "min_score": "here"}).replace('"here"', number)
        assert_invalid(alice.post("/embeddings/search", text), "/body/min_score")

    def test_it_needs_a_reference(self, alice: Api) -> None:
        assert_invalid(search(alice), "/body")
        assert_invalid(search(alice, product_id="none"), "/body/product_id")
        delete(alice, "a")
        assert_invalid(search(alice, product_id="a"), "/body/product_id")
        assert_invalid(search(alice, product_id="map"), "/body/product_id")

    def test_an_answer_that_would_be_too_large(self, alice: Api) -> None:
        for number in range(45):
            store(alice, f"large {number}", [1, number], text="x" * 125_000)
        answer = search(alice, embedding_vector=[1, 0], top_k=100)
        assert_invalid(answer, "/body/top_k")
        assert len(ids(search(alice, embedding_vector=[1, 0], top_k=20))) == 20

    def test_what_is_deleted_is_found_no_more(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.similarity.cache.REFRESH_SECONDS", 0.0)
        assert ids(search(alice, embedding_vector=[1, 0], top_k=1)) == ["a"]
        delete(alice, "a")
        assert ids(search(alice, embedding_vector=[1, 0], top_k=1)) == ["b"]
        patch(alice, {"price": 9}, "b")
        assert ids(search(alice, embedding_vector=[1, 0], filter={"price": 9})) == ["b"]


class TestReports:
    @pytest.fixture(autouse=True)
    def products(self, alice: Api) -> None:
        for name, vector in (("a", [1, 0]), ("b", [0.9, 0.1]), ("c", [0, 3]), ("7", [1, 1])):
            store(alice, name, vector, name=name)

    def report(self, api: Api, reference: Any = None, *favorites: str) -> str:
        path = api.post("/reports", {"title": "T", "reference": reference}).headers["Location"]
        if favorites:
            api.put(f"{path}/favorites", {"favorites": list(favorites)})
        return path

    def test_products_like_the_reports_reference(self, alice: Api) -> None:
        path = self.report(alice, {"product_id": "a", "id": "c"}, "c", "elsewhere")
        answer = search(alice, f"{path}/search")
        assert ids(answer) == ["b", "7", "c"]
        assert [hit["is_favorite"] for hit in answer.json()["hits"]] == [False, False, True]
        assert ids(search(alice, f"{path}/search", top_k=1, filter={"name": {"$ne": "b"}})) == ["7"]

    def test_products_like_a_vector_in_the_body(self, alice: Api) -> None:
        for reference in (None, {"product_id": "a"}, {"product_id": "unknown"}):
            path = self.report(alice, reference)
            assert ids(search(alice, f"{path}/search", embedding_vector=[1, 0])) == ["a", "b", "7", "c"]

    @pytest.mark.parametrize(
        "reference", [{"id": "a"}, {"product_id": "a", "name": "x"}, {"id": 7}, {"product_id": None, "id": "a"}]
    )
    def test_a_reference(self, alice: Api, reference: Any) -> None:
        path = self.report(alice, reference)
        assert len(ids(search(alice, f"{path}/search"))) == 3
        assert alice.get(f"{path}/products/b", query=OF_MODEL).status == 200

    @pytest.mark.parametrize(
        "reference",
        [
            None,
            {},
            {"name": "a"},
            {"product_id": None},
            {"product_id": None, "id": None},
            {"product_id": "", "id": "a"},
            {"product_id": ".."},
            {"product_id": True},
            {"product_id": ["a"]},
            {"product_id": 1.5},
            {"product_id": ""},
            {"product_id": "map"},
            {"product_id": "x" * 300},
            {"product_id": "a\x00"},
            {"product_id": "unknown"},
        ],
        ids=repr,
    )
    def test_a_reference_that_names_no_product(self, alice: Api, reference: Any) -> None:
        path = self.report(alice, reference)
        assert_invalid(search(alice, f"{path}/search"), "/body/embedding_vector")
        assert_invalid(alice.get(f"{path}/products/a", query=OF_MODEL), "/path/report_id")

    def test_the_score_is_the_searchs(self, alice: Api) -> None:
        path = self.report(alice, {"product_id": "a"}, "b")
        for metric in ("cosine", "dot", "euclidean"):
            for hit in search(alice, f"{path}/search", metric=metric).json()["hits"]:
                query = {**OF_MODEL, "metric": metric}
                one = alice.get(f"{path}/products/{hit['product_id']}", query=query).json()
                assert one["score"] == hit["score"]
                assert one["is_favorite"] == hit["is_favorite"] == (hit["product_id"] == "b")
                assert (one["reference_product_id"], one["product"]) == ("a", hit["product"])
                assert (one["metric"], one["higher_is_better"]) == (metric, True)
                assert "embedding_vector" not in one
        with_vector = alice.get(f"{path}/products/b", query={**OF_MODEL, "include_vectors": "true"})
        assert with_vector.json()["embedding_vector"] == pytest.approx([0.9, 0.1])

    def test_what_there_is_not(self, alice: Api, bob: Api) -> None:
        path = self.report(alice, {"product_id": "a"})
        assert_problem(alice.get(f"{path}/products/none", query=OF_MODEL), 404, "not-found")
        assert_problem(alice.get("/reports/none/products/a", query=OF_MODEL), 404, "not-found")
        assert_problem(search(alice, "/reports/none/search"), 404, "not-found")
        assert_problem(search(bob, f"{path}/search", embedding_vector=[1, 0]), 404, "not-found")
        assert_invalid(alice.get(f"{path}/products/map", query=OF_MODEL), "/path/product_id")
        for product_id in ("a", "none"):
            answer = alice.get(f"{path}/products/{product_id}", query={"model_version": "m-9"})
            assert_invalid(answer, "/query/model_version")
        assert_invalid(search(alice, f"{path}/search", model_version="m-9"), "/body/model_version")
        assert_invalid(alice.get(f"{path}/products/a", query={**OF_MODEL, "metric": "x"}), "/query/metric")
        assert_invalid(search(alice, f"{path}/search", product_id="a"), "/body/product_id")

    @pytest.mark.parametrize("include_vectors", ["true", "false"])
    @pytest.mark.parametrize("vector", INCOMPARABLE, ids=repr)
    def test_a_vector_that_cannot_be_compared_is_told_at_its_product(
        self, manager: DatabaseManager, alice: Api, vector: Any, include_vectors: str
    ) -> None:
        """Of another origin: without a direction, of another dimension, or none. The answer is always JSON."""
        put_row(manager, "odd", embedding_vector=vector)
        query = {**OF_MODEL, "include_vectors": include_vectors}
        for metric in ("cosine", "dot", "euclidean"):
            path = self.report(alice, {"product_id": "a"})
            assert_invalid(alice.get(f"{path}/products/odd", query={**query, "metric": metric}), "/path/product_id")
            path = self.report(alice, {"product_id": "odd"})
            assert_invalid(alice.get(f"{path}/products/a", query={**query, "metric": metric}), "/path/report_id")
        assert_invalid(search(alice, f"{path}/search"), "/body/embedding_vector")
        assert_invalid(search(alice, product_id="odd"), "/body/product_id")

    def test_a_report_may_be_about_a_shared_product(self, alice: Api, admin: Api) -> None:
        for name, vector in (("s", [1, 0]), ("t", [1, 1])):
            admin.post("/embeddings", {**body(name, vector), "catalogue": "shared"})
        path = self.report(alice, {"product_id": "s"}, "t")
        answer = search(alice, f"{path}/search", catalogue="shared")
        assert [(hit["product_id"], hit["is_favorite"]) for hit in answer.json()["hits"]] == [("t", True)]
        one = alice.get(f"{path}/products/t", query={**OF_MODEL, "catalogue": "shared"})
        assert one.json()["score"] == answer.json()["hits"][0]["score"]
        assert_invalid(search(alice, f"{path}/search"), "/body/embedding_vector")


class TestMatrix:
    @pytest.fixture(autouse=True)
    def products(self, alice: Api) -> None:
        for name, vector in (("a", [1, 0]), ("b", [0.9, 0.1]), ("c", [0, 3])):
            store(alice, name, vector, name=name)

    def build(self, api: Api, **members: Any) -> Answer:
        return api.post("/embeddings/similarity", {**OF_MODEL, **members})

    def status(self, api: Api) -> Any:
        answer = api.get("/embeddings/similarity", query=OF_MODEL)
        assert answer.status == 200
        return answer.json()

    def matrix(self) -> MatrixStore:
        return MatrixStore(default_objects(), ALICE, MODEL)

    def row(self, api: Api, product_id: str, **query: str) -> Answer:
        return api.get(f"/embeddings/similarity/{encoded(product_id)}", query={**OF_MODEL, **query})

    def test_from_nothing_to_a_row(self, alice: Api) -> None:
        before = self.status(alice)
        assert (before["state"], before["rows"], before["built_at"], before["is_stale"]) == ("absent", None, None, None)
        assert_problem(self.row(alice, "a"), 404, "not-found")
        asked = self.build(alice, k=2)
        assert (asked.status, asked.headers["Location"]) == (202, "/embeddings/similarity?model_version=m-1")
        assert (asked.json()["state"], asked.json()["k"]) == ("queued", 2)
        assert wait_for_local_tasks(20)
        done = self.status(alice)
        assert (done["state"], done["rows"], done["k"], done["progress"], done["error"]) == ("done", 3, 2, 1.0, None)
        assert done["is_stale"] is False
        assert done["built_at"] >= done["requested_at"]
        row = self.row(alice, "a").json()
        assert [found["product_id"] for found in row["neighbors"]] == ["b", "c"]
        assert row["neighbors"][0] == {
            "product_id": "b",
            "score": search(alice, product_id="a").json()["hits"][0]["score"],
            "product": {"name": "b"},
        }
        assert (row["k"], row["built_at"], row["product_id"]) == (2, done["built_at"], "a")
        assert len(self.row(alice, "a", limit="1").json()["neighbors"]) == 1

    def test_it_is_stale_when_anything_changes(self, alice: Api) -> None:
        build_matrix(ALICE, MODEL)
        patch(alice, {"name": "new"}, "b")
        assert self.status(alice)["is_stale"] is True
        assert self.row(alice, "a").json()["neighbors"][0]["product"] == {"name": "new"}
        build_matrix(ALICE, MODEL)
        assert self.status(alice)["is_stale"] is False
        delete(alice, "c")
        assert self.status(alice)["is_stale"] is True

    def test_what_is_deleted_is_not_shown(self, alice: Api) -> None:
        build_matrix(ALICE, MODEL)
        delete(alice, "b")
        assert [found["product_id"] for found in self.row(alice, "a").json()["neighbors"]] == ["c"]
        assert_problem(self.row(alice, "b"), 404, "not-found")
        store(alice, "new")
        assert_problem(self.row(alice, "new"), 404, "not-found")

    def test_whoever_asks_meanwhile_joins(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Any] = []
        monkeypatch.setattr("handlers.embeddings.build_matrix.request_task", asked.append)
        first, second = self.build(alice, k=2), self.build(alice, k=2)
        assert (second.status, second.json()) == (202, first.json())
        assert asked[0] == {**asked[0], "task": "matrix", "owner": ALICE, "model_version": MODEL}
        assert asked == [asked[0]] * 2, "nobody may have been asked for one that is still queued"
        assert_problem(self.build(alice, k=3), 409, "conflict")
        assert len(asked) == 2

    def test_the_worker_is_not_asked_for_what_it_is_doing(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Any] = []
        monkeypatch.setattr("handlers.embeddings.build_matrix.request_task", asked.append)
        self.build(alice)
        assert self.matrix().claim(asked[0]["build_id"]) is not None
        joined = self.build(alice)
        assert (joined.status, joined.json()["state"], len(asked)) == (202, "running", 1)

    def test_a_build_whose_request_was_cut_short_is_done_by_the_next(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The build was put down, and nobody came to ask the worker, or to take it back."""
        self.matrix().request_build(2)
        assert self.status(alice)["state"] == "queued"
        assert self.build(alice, k=2).status == 202
        assert wait_for_local_tasks(20)
        assert self.status(alice)["state"] == "done"

    def test_a_build_is_not_taken_back_from_those_who_asked_before(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.matrix().request_build(2)
        with monkeypatch.context() as patched:
            patched.setattr("handlers.embeddings.build_matrix.request_task", refuse_tasks)
            assert_problem(self.build(alice, k=2), 500, "internal-error")
        assert self.status(alice)["state"] == "queued"

    def test_it_takes_no_version(self, alice: Api) -> None:
        before = every_object()
        for text in ('"1"', 'W/"2"', '"1", "2"'):
            answer = alice.post("/embeddings/similarity", OF_MODEL, headers={"If-Match": text})
            assert_problem(answer, 400, "malformed-request", pointers=["/header/if-match"])
        assert every_object() == before

    @pytest.mark.parametrize("k", [0, 101, "1", None, True, 1.5])
    def test_a_k_that_is_none(self, alice: Api, k: Any) -> None:
        assert_invalid(self.build(alice, k=k), "/body/k")

    def test_an_unknown_model_version(self, alice: Api) -> None:
        unknown = {"model_version": "unknown"}
        assert_invalid(alice.post("/embeddings/similarity", unknown), "/body/model_version")
        assert_invalid(alice.get("/embeddings/similarity", query=unknown), "/query/model_version")
        assert_invalid(alice.get("/embeddings/similarity/a", query=unknown), "/query/model_version")
        assert every_object() == {}

    @pytest.mark.parametrize(
        ("fault", "status", "slug"),
        [
            (raising(ConnectTimeoutError(endpoint_url="https://lambda")), 503, "unavailable"),
            (answering(429, "TooManyRequestsException"), 429, "too-many-requests"),
            (answering(500, "ServiceException"), 503, "unavailable"),
            (answering(403, "AccessDeniedException"), 500, "internal-error"),
            (answering(404, "ResourceNotFoundException"), 500, "internal-error"),
        ],
        ids=["no connection", "throttled", "failing", "denied", "no function"],
    )
    def test_a_worker_that_cannot_be_asked(
        self, alice: Api, monkeypatch: pytest.MonkeyPatch, fault: Fault, status: int, slug: str
    ) -> None:
        monkeypatch.setenv("WORKER_FUNCTION", "k9-worker-test")
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        get_settings.cache_clear()
        tasks._lambda_client.cache_clear()
        try:
            with faulty(SimpleNamespace(client=tasks._lambda_client()), fault) as fired:
                answer = self.build(alice)
        finally:
            tasks._lambda_client.cache_clear()
        assert fired.fired
        assert_problem(answer, status, slug)
        told = self.status(alice)
        assert told["state"] == "failed"
        assert told["error"]
        assert "arn:" not in json.dumps(told)

    def test_there_is_no_worker_at_all(self, alice: Api) -> None:
        tasks.set_local_worker(None)
        assert_problem(self.build(alice), 500, "internal-error")
        assert self.status(alice)["state"] == "failed"

    def test_a_failed_build_can_be_asked_for_again(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        with monkeypatch.context() as patched:
            patched.setattr("handlers.embeddings.build_matrix.request_task", refuse_tasks)
            assert self.build(alice).status == 500
        assert self.build(alice).status == 202
        assert wait_for_local_tasks(20)
        assert self.status(alice)["state"] == "done"

    def test_a_build_that_was_broken_off_says_so(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("handlers.embeddings.build_matrix.request_task", lambda task: None)
        self.build(alice)
        monkeypatch.setattr("handlers.embeddings.matrix_state.now", lambda: "2099-01-01T00:00:00.000000Z")
        told = self.status(alice)
        assert (told["state"], bool(told["error"])) == ("failed", True)

    def test_an_old_matrix_is_read_while_the_next_is_built(self, alice: Api, monkeypatch: pytest.MonkeyPatch) -> None:
        build_matrix(ALICE, MODEL)
        monkeypatch.setattr("handlers.embeddings.build_matrix.request_task", lambda task: None)
        self.build(alice, k=1)
        told = self.status(alice)
        assert (told["state"], told["rows"]) == ("queued", 3)
        assert self.row(alice, "a").status == 200

    def test_a_row_is_three_objects_and_one_batch(self, manager: DatabaseManager, alice: Api) -> None:
        build_matrix(ALICE, MODEL)
        with requests_sent(manager, default_objects()) as sent:
            self.row(alice, "a")
        assert [operation for operation, _ in sent] == ["GetObject", "GetObject", "GetObject", "BatchGetItem"]
        assert "Range" in sent[2][1]


class TestAnswersThatLambdaCanGive:
    """At most 6 MB: "Lambda quotas" in the AWS Lambda developer guide."""

    LIMIT = 6 * 1024 * 1024
    LONGEST = float(np.float32(-1.2345678e-05))
    """Of float32's components, one that takes many characters."""

    def test_many_long_vectors(self, manager: DatabaseManager, alice: Api) -> None:
        for number in range(100):
            embed(ALICE, f"p{number}", [self.LONGEST] * MAX_DIMENSION, {}, MODEL)
        query = {**OF_MODEL, "limit": "100", "include_vectors": "true"}
        answers = [
            alice.get("/embeddings", query=query),
            search(alice, embedding_vector=[1] * MAX_DIMENSION, top_k=100, include_vectors=True),
        ]
        assert all(len(answer.text.encode()) < self.LIMIT for answer in answers)
        assert answers[0].json()["has_more"] is True
        assert answers[1].status in (200, 422)

    def test_much_metadata_of_wide_characters(self, manager: DatabaseManager, alice: Api) -> None:
        wide = {"text": "\u72ac" * 40_000}
        for number in range(60):
            embed(ALICE, f"p{number}", [1, number], wide, MODEL)
        build_matrix(ALICE, MODEL, 100)
        answers = [
            alice.get("/embeddings", query={**OF_MODEL, "limit": "100"}),
            search(alice, embedding_vector=[1, 1], top_k=100),
            alice.get("/embeddings/similarity/p1", query=OF_MODEL),
        ]
        assert all(len(answer.text.encode()) < self.LIMIT for answer in answers)
        assert answers[0].json()["has_more"] is True
        assert_invalid(answers[1], "/body/top_k")
        assert_invalid(answers[2], "/query/limit")
        few = alice.get("/embeddings/similarity/p1", query={**OF_MODEL, "limit": "5"})
        assert (few.status, len(few.json()["neighbors"])) == (200, 5)
