"""Walking a query's pages, and ending an answer's page before it grows too large."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from .manager import DatabaseManager

PAGE_BYTES = 4 * 1024 * 1024
"""An answer's page ends here, well below the 6 MB that a Lambda function may answer."""

T = TypeVar("T")


def query_pages(manager: DatabaseManager, *, grow_to: int | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
    """Every page of a query; one may be empty and still have a successor. Each may be twice as long as the one before,
    up to `grow_to` rows, so that what a filter leaves out takes few calls."""
    while True:
        page = manager.call("query", **parameters)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        parameters["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        if grow_to is not None:
            parameters["Limit"] = min(grow_to, 2 * parameters["Limit"])


def raw_bytes(page: Mapping[str, Any]) -> int:
    """Bytes of the answer that brought a page; one that does not say counts as large."""
    return int(page["ResponseMetadata"]["HTTPHeaders"].get("content-length", PAGE_BYTES))


def fitting(rows: Sequence[T], size_of: Callable[[T], int]) -> list[T]:
    """The first rows that fit a page together, by their bytes; always one, or a walk would never end."""
    total = 0
    for index, row in enumerate(rows):
        total += size_of(row)
        if total > PAGE_BYTES and index:
            return list(rows[:index])
    return list(rows)
