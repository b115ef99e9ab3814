"""Rows of many partitions in turn: DynamoDB writes no more than 1,000 units a second to one partition of an index."""

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

WINDOW_ROWS = 5_000
WINDOW_BYTES = 32 * 1024 * 1024


class Window(Generic[T]):
    """Holds back so many rows, and gives them one of each partition after the other."""

    def __init__(self, rows: int = WINDOW_ROWS, size: int = WINDOW_BYTES) -> None:
        self._most_rows = rows
        self._most_bytes = size
        self._waiting: OrderedDict[str, deque[tuple[T, int]]] = OrderedDict()
        self._rows = 0
        self._bytes = 0

    def interleaved(self, arriving: Iterable[tuple[str, int, T]]) -> Iterator[T]:
        """The rows of (partition, bytes, row), rearranged."""
        for partition, size, row in arriving:
            self._waiting.setdefault(partition, deque()).append((row, size))
            self._rows += 1
            self._bytes += size
            while self._rows > self._most_rows or self._bytes > self._most_bytes:
                yield self._next()
        while self._rows:
            yield self._next()

    def _next(self) -> T:
        partition, rows = self._waiting.popitem(last=False)
        row, size = rows.popleft()
        if rows:
            self._waiting[partition] = rows
        self._rows -= 1
        self._bytes -= size
        return row
