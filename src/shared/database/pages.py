"""Walking a query's pages, and ending an answer's page before it grows too large."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from .manager import DatabaseManager

PAGE_BYTES = 4 * 1024 * 1024
"""An answer's page ends here, well below the 6 MB that a Lambda function may answer."""

T = TypeVar("T")


def query_pages(manager: DatabaseManager, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Every page of a query; one may be empty and still have a successor."""
    while True:
        page = manager.call("query", **parameters)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def fitting(rows: Sequence[T], size_of: Callable[[T], int]) -> list[T]:
    """The first rows that fit a page together, by their bytes; always one, or a walk would never end."""
    total = 0
    for index, row in enumerate(rows):
        total += size_of(row)
        if total > PAGE_BYTES and index:
            return list(rows[:index])
    return list(rows)
