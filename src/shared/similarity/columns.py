"""The metadata of many products as columns, on which a filter is evaluated for all of them at once."""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from decimal import Decimal
from functools import reduce
from itertools import chain
from sys import getsizeof
from threading import Lock

import numpy as np
import numpy.typing as npt

from ..models.filters import (
    All,
    Any,
    Compare,
    Constant,
    Equal,
    Exists,
    Field,
    Filter,
    Key,
    Not,
    Order,
    Path,
    Test,
    key_of,
    paths_of,
    values_at,
)
from ..models.json_value import JsonObject
from .documents import Documents

MAX_COLUMNS = 64
"""Columns that are kept; filters of ever new paths would fill the memory otherwise."""

_BLOCK = 256
_CODES: dict[Key, int] = {constant: -1 - place for place, constant in enumerate(Constant)}

Mask = npt.NDArray[np.bool_]


class Columns:
    """The columns of n documents, each built when a filter first asks for it. Threads may share them."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self._kept: dict[Path, _Column] = {}
        self._lock = Lock()

    def mask(self, filter: Filter) -> Mask:
        """bool (n,): which documents the filter lets through, as `models.filters.matches` says of each."""
        return self._mask(filter, self._columns(set(paths_of(filter))))

    @property
    def nbytes(self) -> int:
        """Bytes that the columns kept at the moment take."""
        with self._lock:
            return sum(column.nbytes for column in self._kept.values())

    def _mask(self, filter: Filter, columns: "dict[Path, _Column]") -> Mask:
        match filter:
            case All(filters):
                masks = (self._mask(each, columns) for each in filters)
                return reduce(np.logical_and, masks, np.ones(len(self._documents), np.bool_))
            case Any(filters):
                masks = (self._mask(each, columns) for each in filters)
                return reduce(np.logical_or, masks, np.zeros(len(self._documents), np.bool_))
            case Not(negated):
                return ~self._mask(negated, columns)
            case Field(path, test):
                return columns[path].mask(test, len(self._documents))

    def _columns(self, paths: set[Path]) -> "dict[Path, _Column]":
        with self._lock:
            found = self._built(paths - self._kept.keys())
            found |= {path: self._kept.pop(path) for path in paths & self._kept.keys()}
            self._kept |= found
            for path in list(self._kept)[:-MAX_COLUMNS]:
                del self._kept[path]
        return found

    def _built(self, paths: set[Path]) -> "dict[Path, _Column]":
        entries = {path: _Entries(path) for path in paths}
        for documents in self._blocks() if paths else ():
            for each in entries.values():
                each.add(documents)
        return {path: each.column() for path, each in entries.items()}

    def _blocks(self) -> Iterator[list[JsonObject]]:
        """All documents, so many at a time that what is parsed stays small."""
        blob, offsets = self._documents.blob, self._documents.offsets
        for start in range(0, len(self._documents), _BLOCK):
            stop = min(start + _BLOCK, len(self._documents))
            text = b"[" + blob[offsets[start] : offsets[stop] - 1] + b"]"
            yield json.loads(text, parse_float=Decimal, parse_int=Decimal)


class _Entries:
    """The keys of one path, gathered block by block, and how many each document has."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys: list[Key] = []
        self._counts: list[int] = []

    def add(self, documents: list[JsonObject]) -> None:
        found = [values_at(document, self._path) for document in documents]
        self._keys.extend(map(key_of, chain.from_iterable(found)))
        self._counts.extend(map(len, found))

    def column(self) -> "_Column":
        distinct = set(self._keys)
        numbers = sorted(key for key in distinct if isinstance(key, Decimal))
        texts = sorted(key for key in distinct if isinstance(key, str))
        values: list[Decimal | str] = [*numbers, *texts]
        code_of = _CODES | dict(zip(values, range(len(values)), strict=True))
        codes = np.fromiter(map(code_of.__getitem__, self._keys), np.int32, len(self._keys))
        counts = np.array(self._counts, np.int32)
        rows = None if (counts == 1).all() else np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        return _Column(values, len(numbers), codes, rows)


class _Column:
    """What one path leads to in n documents: m entries, each coded by its place among the distinct values.

    `values` are first so many `numbers`, then strings, both ascending. A code (int32) is a place in them, or below 0
    for a Constant: an order holds for a range of codes, whose ends are found by comparing a few exact values. An entry
    belongs to the document `rows[entry]` (int32), or `entry` where `rows` is None since each document has just one.
    """

    def __init__(
        self,
        values: list[Decimal | str],
        numbers: int,
        codes: npt.NDArray[np.int32],
        rows: npt.NDArray[np.int32] | None,
    ) -> None:
        self._values = values
        self._numbers = numbers
        self._codes = codes
        self._rows = rows
        self.nbytes = sum(map(getsizeof, [values, *values])) + codes.nbytes + (0 if rows is None else rows.nbytes)

    def mask(self, test: Test, n: int) -> Mask:
        """bool (n,): the documents with an entry for which the test holds."""
        holds = self._verdicts(test)[self._codes]
        if self._rows is None:
            return holds
        mask = np.zeros(n, np.bool_)
        mask[self._rows[holds]] = True
        return mask

    def _verdicts(self, test: Test) -> Mask:
        """bool (values and Constants,): the codes for which the test holds; those below 0 count from the end."""
        verdicts = np.zeros(len(self._values) + len(Constant), np.bool_)
        match test:
            case Exists():
                verdicts[:] = True
                verdicts[_CODES[Constant.MISSING]] = False
            case Equal(keys):
                for key in keys:
                    verdicts[self._equal(key)] = True
            case Compare(order, operand):
                verdicts[self._range(order, operand)] = True
        return verdicts

    def _equal(self, key: Key) -> int | slice:
        if isinstance(key, Constant):
            return _CODES[key]
        _, left, right, _ = self._bounds(key)
        return slice(left, right)

    def _range(self, order: Order, operand: Decimal | str) -> slice:
        start, left, right, stop = self._bounds(operand)
        ranges = {"<": (start, left), "<=": (start, right), ">": (right, stop), ">=": (left, stop)}
        return slice(*ranges[order])

    def _bounds(self, operand: Decimal | str) -> tuple[int, int, int, int]:
        """Where the values of the operand's class begin, those not less than it, those greater, and where they end."""
        numbers = self._numbers
        start, stop = (0, numbers) if isinstance(operand, Decimal) else (numbers, len(self._values))
        left = bisect_left(self._values, operand, start, stop)
        return start, left, bisect_right(self._values, operand, left, stop), stop
