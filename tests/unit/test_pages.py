"""Walking a query's pages, and ending a page before it grows too large."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.database import DatabaseManager
from shared.database.pages import PAGE_BYTES, fitting, query_pages, raw_bytes
from shared.errors import TooManyRequests


class Pages:
    """A manager that answers a query with these pages, one after the other."""

    def __init__(self, *pages: dict[str, Any] | Exception) -> None:
        self.left = list(pages)
        self.asked: list[dict[str, Any]] = []

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        assert operation == "query"
        self.asked.append(parameters)
        page = self.left.pop(0)
        if isinstance(page, Exception):
            raise page
        return page


def walk(pages: Pages, **parameters: Any) -> list[Any]:
    walked = query_pages(cast(DatabaseManager, pages), **parameters)
    return [item for page in walked for item in page["Items"]]


def test_each_page_goes_on_where_the_last_one_ended() -> None:
    pages = Pages({"Items": [1], "LastEvaluatedKey": "a"}, {"Items": [2], "LastEvaluatedKey": "b"}, {"Items": [3]})
    assert walk(pages, TableName="t", Limit=1) == [1, 2, 3]
    assert [asked.get("ExclusiveStartKey") for asked in pages.asked] == [None, "a", "b"]
    assert all((asked["TableName"], asked["Limit"]) == ("t", 1) for asked in pages.asked)


def test_it_may_begin_further_on() -> None:
    pages = Pages({"Items": [1], "LastEvaluatedKey": "b"}, {"Items": []})
    walk(pages, ExclusiveStartKey="a")
    assert [asked["ExclusiveStartKey"] for asked in pages.asked] == ["a", "b"]


def test_an_empty_page_may_have_a_successor() -> None:
    empty = {"Items": [], "LastEvaluatedKey": "a"}
    assert walk(Pages(empty, empty, {"Items": [1], "LastEvaluatedKey": "b"}, {"Items": []})) == [1]


def test_no_page_is_asked_for_before_it_is_wanted() -> None:
    pages = Pages({"Items": [1], "LastEvaluatedKey": "a"}, {"Items": [2]})
    walked = query_pages(cast(DatabaseManager, pages))
    assert pages.asked == []
    assert next(walked)["Items"] == [1]
    assert len(pages.asked) == 1


def test_the_callers_parameters_are_left_as_they_are() -> None:
    parameters: dict[str, Any] = {"TableName": "t"}
    walk(Pages({"Items": [], "LastEvaluatedKey": "a"}, {"Items": []}), **parameters)
    assert parameters == {"TableName": "t"}


def test_each_page_may_be_twice_as_long_as_the_one_before() -> None:
    more = {"Items": [], "LastEvaluatedKey": "a"}
    pages = Pages(*[more] * 5, {"Items": []})
    walk(pages, Limit=3, grow_to=20)
    assert [asked["Limit"] for asked in pages.asked] == [3, 6, 12, 20, 20, 20]
    assert not [asked for asked in pages.asked if "grow_to" in asked]


def test_pages_do_not_grow_unless_they_are_told_to() -> None:
    pages = Pages({"Items": [], "LastEvaluatedKey": "a"}, {"Items": []})
    walk(pages, Limit=3)
    assert [asked["Limit"] for asked in pages.asked] == [3, 3]


@pytest.mark.parametrize(("headers", "size"), [({"content-length": "17"}, 17), ({"date": "today"}, PAGE_BYTES)])
def test_an_answer_that_does_not_tell_its_length_counts_as_large(headers: dict[str, str], size: int) -> None:
    assert raw_bytes({"ResponseMetadata": {"HTTPHeaders": headers}}) == size


def test_a_failure_ends_the_walk() -> None:
    with pytest.raises(TooManyRequests):
        walk(Pages({"Items": [1], "LastEvaluatedKey": "a"}, TooManyRequests()))


@given(sizes=st.lists(st.integers(0, PAGE_BYTES * 2) | st.integers(0, PAGE_BYTES // 3), max_size=12))
def test_as_many_as_fit_and_always_one(sizes: list[int]) -> None:
    kept = fitting(sizes, lambda size: size)
    assert kept == sizes[: len(kept)]
    assert sum(kept) <= PAGE_BYTES or len(kept) == 1
    assert len(kept) == len(sizes) or sum(sizes[: len(kept) + 1]) > PAGE_BYTES
    assert bool(kept) == bool(sizes)


def test_exactly_full_is_not_too_full() -> None:
    assert fitting([PAGE_BYTES - 1, 1], lambda size: size) == [PAGE_BYTES - 1, 1]
    assert fitting([PAGE_BYTES, 1], lambda size: size) == [PAGE_BYTES]
    assert fitting([PAGE_BYTES + 1, 1], lambda size: size) == [PAGE_BYTES + 1]
