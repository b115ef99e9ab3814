"""Lists, page by page and item by item."""

from itertools import islice
from typing import Any

import httpx
import pytest

from k9_api import Client, TransportError, UnexpectedAnswer
from tests.unit.client.world import TOKEN, URL, Surface, World, embedding, ok, problem, report


def page(*ids: str, cursor: str | None = None) -> httpx.Response:
    reports = [report(id=each) for each in ids]
    return ok({"reports": reports, "next_cursor": cursor, "has_more": cursor is not None})


def of_embeddings(*ids: str, cursor: str | None = None) -> httpx.Response:
    return ok({"embeddings": [embedding(each) for each in ids], "next_cursor": cursor, "has_more": bool(cursor)})


def test_every_report_of_every_page(surface: Surface, world: World) -> None:
    world.says(page("a", "b", cursor="c1"), page(cursor="c2"), page("c"))
    found = surface.run(lambda client: client.reports.iterate(limit=2))
    assert [each.id for each in found] == ["a", "b", "c"]
    assert world.paths == [
        "GET /reports?limit=2",
        "GET /reports?limit=2&cursor=c1",
        "GET /reports?limit=2&cursor=c2",
    ]


def test_every_embedding(surface: Surface, world: World) -> None:
    world.says(of_embeddings("a", cursor="c+/="), of_embeddings("b"))
    found = surface.run(lambda client: client.embeddings.iterate(model_version="m:1/a", include_vectors=True))
    assert [each.product_id for each in found] == ["a", "b"]
    assert world.paths[1] == "GET /embeddings?model_version=m%3A1%2Fa&limit=100&cursor=c%2B%2F%3D&include_vectors=true"


@pytest.mark.parametrize(
    ("pages", "listed"),
    [
        (lambda client: client.reports.pages(), (page("a", cursor="x"), page("b"))),
        (
            lambda client: client.embeddings.pages(model_version="m"),
            (of_embeddings("a", cursor="x"), of_embeddings("b")),
        ),
    ],
    ids=["reports", "embeddings"],
)
def test_the_pages_themselves(surface: Surface, world: World, pages: Any, listed: tuple[httpx.Response, ...]) -> None:
    world.says(*listed)
    assert [each.next_cursor for each in surface.run(pages)] == ["x", None]


def test_one_page(surface: Surface, world: World) -> None:
    world.says(ok({"reports": [], "next_cursor": None, "has_more": False, "total": 0}))
    found = surface.run(lambda client: client.reports.list(include_total=True, cursor="c"))
    assert (found.total, found.has_more, found.reports) == (0, False, ())
    assert world.paths == ["GET /reports?cursor=c&include_total=true"]


def test_pages_are_fetched_as_they_are_needed(world: World) -> None:
    world.says(page("a", "b", cursor="c1"))
    with Client(URL, token=TOKEN, transport=world.transport) as client:
        assert [each.id for each in islice(client.reports.iterate(), 2)] == ["a", "b"]
    assert len(world.requests) == 1


@pytest.mark.parametrize("cursors", [["x", "x"], ["x", "y", "x"]], ids=["the same", "a circle"])
def test_a_cursor_that_was_there_before_ends_it(surface: Surface, world: World, cursors: list[str]) -> None:
    world.says(*[page("a", cursor=cursor) for cursor in cursors])
    with pytest.raises(UnexpectedAnswer, match="would never end"):
        surface.run(lambda client: client.reports.iterate())


def test_a_page_is_tried_again(surface: Surface, world: World) -> None:
    world.says(page("a", cursor="x"), problem(503, "unavailable"), page("b"))
    assert len(surface.run(lambda client: client.reports.iterate())) == 2


def test_a_failure_ends_it(surface: Surface, world: World) -> None:
    world.says(page("a", cursor="x"), *[httpx.ReadTimeout("slow")] * 4)
    with pytest.raises(TransportError):
        surface.run(lambda client: client.reports.iterate())
