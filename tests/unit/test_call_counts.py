"""How many AWS calls a request costs: what the design promises, counted on the clients themselves."""

from typing import Any

import pytest

from shared.database import DatabaseManager, EmbeddingRepository
from shared.similarity import matrix
from shared.similarity.cache import default_cache
from shared.similarity.objects import default_objects
from shared.tasks import wait_for_local_tasks
from tests.conftest import ALICE
from tests.support.api import Api
from tests.support.cases import CASES, EMBEDDINGS, MODEL, OTHER_PRODUCT, Case, Key, case_id, embed, prepare
from tests.support.faults import recorded, requests_sent
from tests.support.logs import Logged
from tests.support.logs import logged as logged

NEEDLE = "made-once"


@pytest.fixture
def report(alice: Api) -> str:
    """The path of a report with one favourite, of a user whose profile exists."""
    alice.get("/user/profile")
    path = alice.post("/reports", {"title": "T"}).headers["Location"]
    alice.put(f"{path}/favorites/{NEEDLE}")
    return path


@pytest.mark.parametrize(
    ("method", "path", "body", "operations"),
    [
        ("GET", "", None, ["GetItem"]),
        ("PATCH", "", {"title": "U"}, ["UpdateItem"]),
        ("DELETE", "", None, ["DeleteItem"]),
        ("GET", "/favorites", None, ["GetItem"]),
        ("PUT", "/favorites", {"favorites": ["a"]}, ["UpdateItem"]),
        ("PUT", "/favorites/a", None, ["UpdateItem"]),
        ("PUT", f"/favorites/{NEEDLE}", None, ["UpdateItem"]),
        ("DELETE", f"/favorites/{NEEDLE}", None, ["UpdateItem"]),
        ("DELETE", "/favorites/none", None, ["UpdateItem"]),
    ],
)
def test_one_call_for_one_report(
    manager: DatabaseManager, alice: Api, report: str, method: str, path: str, body: Any, operations: list[str]
) -> None:
    with recorded(manager) as asked:
        assert alice.request(method, report + path, body).status in (200, 204)
    assert asked == operations


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
def test_one_call_also_where_there_is_nothing(manager: DatabaseManager, alice: Api, method: str) -> None:
    with recorded(manager) as asked:
        assert alice.request(method, "/reports/none", {"title": "U"}).status == 404
    assert len(asked) == 1


def test_one_call_for_a_page(manager: DatabaseManager, alice: Api, report: str) -> None:
    for _ in range(3):
        alice.post("/reports", {"title": "T", "author": "A"})
    with recorded(manager) as asked:
        page = alice.get("/reports", query={"limit": "2"}).json()
        alice.get("/reports", query={"limit": "2", "cursor": page["next_cursor"]})
    assert asked == ["Query", "Query"]


def test_a_total_is_one_call_more(manager: DatabaseManager, alice: Api, report: str) -> None:
    with recorded(manager) as asked:
        assert alice.get("/reports", query={"include_total": "true"}).json()["total"] == 1
    assert asked == ["Query", "Query"]


@pytest.mark.parametrize(
    ("author", "operations"), [(None, ["GetItem", "PutItem"]), ("A", ["PutItem"])], ids=["profile's", "given"]
)
@pytest.mark.parametrize("seen", [False, True], ids=["first sight", "seen"])
def test_a_create_looks_the_author_up_where_none_is_given(
    manager: DatabaseManager, alice: Api, author: str | None, operations: list[str], seen: bool
) -> None:
    if seen:
        alice.get("/user/profile")
    with recorded(manager) as asked:
        assert alice.post("/reports", {"title": "T", "author": author}).status == 201
    assert asked == operations


def test_a_profile_is_one_call_and_two_on_first_sight(manager: DatabaseManager, alice: Api) -> None:
    with recorded(manager) as asked:
        alice.get("/user/profile")
        assert asked == ["GetItem", "PutItem"]
        alice.get("/user/profile")
    assert asked == ["GetItem", "PutItem", "GetItem"]


def test_a_profiles_change_is_one_call(manager: DatabaseManager, alice: Api) -> None:
    alice.get("/user/profile")
    with recorded(manager) as asked:
        assert alice.patch("/user/profile", {"name": "A", "preferences": None}).status == 200
    assert asked == ["UpdateItem"]


def test_a_merge_reads_what_it_merges_into(manager: DatabaseManager, alice: Api) -> None:
    alice.get("/user/profile")
    with recorded(manager) as asked:
        assert alice.patch("/user/profile", {"preferences": {"a": 1}}).status == 200
    assert asked == ["GetItem", "UpdateItem"]


def test_a_change_on_first_sight_creates_the_profile_first(manager: DatabaseManager, alice: Api) -> None:
    with recorded(manager) as asked:
        assert alice.patch("/user/profile", {"name": "A"}).status == 200
    assert asked == ["UpdateItem", "PutItem", "UpdateItem"]


def test_a_refused_request_costs_none(manager: DatabaseManager, alice: Api) -> None:
    with recorded(manager) as asked:
        assert alice.post("/reports", {}).status == 422
        assert alice.get("/reports", query={"cursor": "junk"}).status == 400
        assert Api().get("/reports").status == 401
    assert asked == []


def test_the_log_has_the_same_count(manager: DatabaseManager, alice: Api, report: str, logged: Logged) -> None:
    with recorded(manager) as asked:
        alice.post("/reports", {"title": "T"})
    assert logged.records()[-1]["aws_calls"] == len(asked) == 2


SNAPSHOT = ["GetObject", "GetObject"]
"""The manifest, and the one segment that these tests have."""

COLD: dict[Key, list[str]] = {
    ("POST", "/reports/{report_id}/search"): ["GetItem", "GetItem", "GetItem", *SNAPSHOT, "Query"],
    ("GET", "/reports/{report_id}/products/{product_id}"): ["GetItem", "GetItem", "GetItem", "GetItem"],
    ("GET", "/reports/{report_id}/export"): ["GetItem", "GetItem", "BatchGetItem"],
    ("POST", "/embeddings"): ["GetItem", "UpdateItem"],
    ("POST", "/embeddings/batch"): ["GetItem", "UpdateItem"],
    ("GET", "/embeddings"): ["GetItem", "Query"],
    ("GET", "/embeddings/{product_id}"): ["GetItem"],
    ("PATCH", "/embeddings/{product_id}"): ["UpdateItem"],
    ("DELETE", "/embeddings/{product_id}"): ["UpdateItem"],
    ("POST", "/embeddings/delete"): ["GetItem", "Query", "UpdateItem"],
    ("GET", "/embeddings/models"): ["GetItem", *SNAPSHOT, "Query", "Query"],
    ("POST", "/embeddings/search"): ["GetItem", "GetItem", *SNAPSHOT, "Query"],
    ("POST", "/embeddings/similarity"): ["GetItem", "GetObject", "PutObject", "Query"],
    ("GET", "/embeddings/similarity"): ["GetItem", "GetObject", "Query"],
    ("GET", "/embeddings/similarity/{product_id}"): ["GetItem", "GetObject", "GetObject", "GetObject", "BatchGetItem"],
}
"""In a process that has read nothing yet."""

WARM: dict[Key, list[str]] = {
    **COLD,
    ("POST", "/reports/{report_id}/search"): ["GetItem", "GetItem"],
    ("GET", "/reports/{report_id}/products/{product_id}"): ["GetItem", "GetItem", "GetItem"],
    ("GET", "/reports/{report_id}/export"): ["GetItem", "BatchGetItem"],
    ("POST", "/embeddings"): ["UpdateItem"],
    ("POST", "/embeddings/batch"): ["UpdateItem"],
    ("GET", "/embeddings"): ["Query"],
    ("POST", "/embeddings/delete"): ["Query", "UpdateItem"],
    ("POST", "/embeddings/search"): ["GetItem"],
    ("POST", "/embeddings/similarity"): ["GetObject", "PutObject", "Query"],
    ("GET", "/embeddings/similarity"): ["GetObject", "Query"],
    ("GET", "/embeddings/similarity/{product_id}"): ["GetObject", "GetObject", "BatchGetItem"],
}
"""In one that knows the dimension, the matrix's ids, and had the index read within the last second."""


@pytest.fixture
def products(manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two, of which a delete by filter meets one, with a snapshot and a matrix. The worker's calls are its own."""
    prepare(ALICE)
    monkeypatch.setattr("handlers.embeddings.build_matrix.request_task", lambda task: None)
    EmbeddingRepository.update_product(OTHER_PRODUCT, ALICE, MODEL, {"price": 0})


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("case", EMBEDDINGS, ids=case_id)
def test_embeddings_in_a_process_that_has_read_nothing(manager: DatabaseManager, alice: Api, case: Case) -> None:
    manager.settled.clear()
    default_cache.cache_clear()
    matrix._process_tables._tables.clear()
    with recorded(manager, default_objects()) as asked:
        assert case.send(alice).status == case.status
    assert sorted(asked) == sorted(COLD[case.key])


@pytest.mark.usefixtures("products")
@pytest.mark.parametrize("case", EMBEDDINGS, ids=case_id)
def test_embeddings_in_a_process_that_has_read_them(
    manager: DatabaseManager, alice: Api, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.similarity.cache.REFRESH_SECONDS", 600.0)
    for key in (("POST", "/embeddings/search"), ("GET", "/embeddings/similarity/{product_id}")):
        CASES[key].send(alice)
    with recorded(manager, default_objects()) as asked:
        assert case.send(alice).status == case.status
    assert sorted(asked) == sorted(WARM[case.key])


def test_a_batch_costs_a_write_for_each_item(manager: DatabaseManager, alice: Api) -> None:
    embed(ALICE)
    items = [{"product_id": str(number), "model_version": MODEL, "embedding_vector": [1, 2]} for number in range(20)]
    with recorded(manager) as asked:
        assert alice.post("/embeddings/batch", {"items": items}).json()["stored"] == 20
    assert asked == ["UpdateItem"] * 20


def test_a_search_reads_only_what_changed(
    manager: DatabaseManager, alice: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.similarity.cache.REFRESH_SECONDS", 0.0)
    prepare(ALICE)
    case = CASES["POST", "/embeddings/search"]
    case.send(alice)
    with requests_sent(manager) as sent:
        case.send(alice)
    assert [operation for operation, _ in sent] == ["GetItem", "Query"]
    assert ":since" in sent[1][1]["ExpressionAttributeValues"]


@pytest.mark.usefixtures("products")
def test_a_search_that_is_refused_costs_none(manager: DatabaseManager, alice: Api) -> None:
    with recorded(manager, default_objects()) as asked:
        for body in ({}, {"model_version": MODEL}, {"model_version": MODEL, "product_id": "p", "filter": {"$x": 1}}):
            assert alice.post("/embeddings/search", body).status == 422
        assert alice.get("/embeddings", query={"model_version": MODEL, "cursor": "junk"}).status == 400
        assert alice.post("/embeddings", {**CASES["POST", "/embeddings"].body, "catalogue": "shared"}).status == 403
    assert asked == []


@pytest.mark.usefixtures("products")
def test_the_log_counts_the_calls_of_both_services_and_of_all_threads(
    manager: DatabaseManager, alice: Api, logged: Logged
) -> None:
    default_cache.cache_clear()
    for key in (("POST", "/embeddings/search"), ("GET", "/embeddings/models"), ("POST", "/embeddings/delete")):
        with recorded(manager, default_objects()) as asked:
            assert CASES[key].send(alice).status == 200
        assert wait_for_local_tasks(20)
        assert logged.records()[-1]["aws_calls"] == len(asked) > 1
