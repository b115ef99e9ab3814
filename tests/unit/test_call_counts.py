"""How many DynamoDB calls a request costs: what the design promises, counted on the client itself."""

from typing import Any

import pytest

from shared.database import DatabaseManager
from tests.support.api import Api
from tests.support.faults import recorded
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
