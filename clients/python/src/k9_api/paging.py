"""Walking a list by its cursors."""

from collections.abc import Callable, Iterable
from typing import Protocol, TypeVar

from .effects import Flow, Item, Plan, T
from .errors import UnexpectedAnswer

MAX_PAGE = 100
"""How many items a page may be asked for: fewest requests for a whole list. Large items make it shorter."""


class Page(Protocol):
    """A page of any list."""

    @property
    def next_cursor(self) -> str | None: ...


PageT = TypeVar("PageT", bound=Page)


def walk(fetch: Callable[[str | None], Plan[PageT]], items_of: Callable[[PageT], Iterable[T]]) -> Flow[T]:
    """What every page has, from the first page on. Raises UnexpectedAnswer for cursors that lead in a circle."""
    cursor: str | None = None
    seen: set[str] = set()
    while True:
        page = yield from fetch(cursor)
        for item in items_of(page):
            yield Item(item)
        cursor = page.next_cursor
        if cursor is None:
            return
        if cursor in seen:
            raise UnexpectedAnswer("the answer has a next_cursor that was there before: the list would never end")
        seen.add(cursor)
