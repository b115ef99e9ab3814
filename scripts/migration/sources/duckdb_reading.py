"""Rows out of DuckDB, streamed: for its own files and for those that it reads."""

from collections.abc import Iterator
from contextlib import closing
from hashlib import blake2b
from pickle import Pickler
from typing import Any

import duckdb

from scripts.migration.sources.duckdb_values import Column
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow

_ROWS_AT_A_TIME = 256
# DuckDB keeps what it has read up to the limit. 2048 rows, or the row group of a Parquet file, must fit in at once.
_MEMORY_LIMITS = ("64MB", "256MB", "1GB", "4GB", "16GB")

# One thread keeps the order the same at every reading; without extensions to load, nothing comes from the network.
CONFIG: dict[str, Any] = {
    "threads": 1,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def rows(connection: duckdb.DuckDBPyConnection, relation: str, place: str) -> Iterator[SourceRow | UnreadableRow]:
    """Every row of a relation, which is SQL; `place` names it in messages and positions."""
    try:
        with closing(connection.cursor()) as cursor:
            columns = _columns(cursor, relation)
            query = f"SELECT {', '.join(column.expression for column in columns)} FROM {relation}"  # noqa: S608
            for number, values in enumerate(_selected(cursor, query, place), 1):
                yield _row(f"{place}:{number}", columns, values)
    except duckdb.Error as error:
        raise SourceError(f"{place} cannot be read: {reason(error)}") from error


def reason(error: duckdb.Error) -> str:
    """DuckDB's own words, without the stack that it adds to some."""
    return str(error).split("\n\n")[0].strip()


def _columns(cursor: duckdb.DuckDBPyConnection, relation: str) -> list[Column]:
    cursor.execute(f"SELECT * FROM {relation} LIMIT 0")  # noqa: S608
    return [Column.of(described[0], described[1]) for described in cursor.description or ()]


class _Given:
    """Which rows were given so far, in their order. Pickled without memory, equal rows are equal bytes."""

    def __init__(self) -> None:
        self.count = 0
        self._digest = blake2b()
        self._pickler = Pickler(self, protocol=5)
        self._pickler.fast = True

    def add(self, rows: list[tuple[Any, ...]]) -> None:
        for row in rows:
            self._pickler.dump(row)
        self.count += len(rows)

    def write(self, data: bytes) -> None:
        self._digest.update(data)

    @property
    def state(self) -> tuple[int, bytes]:
        return self.count, self._digest.digest()


def _selected(cursor: duckdb.DuckDBPyConnection, query: str, place: str) -> Iterator[tuple[Any, ...]]:
    """In little memory, or where rows are too large for it, anew in more, from where the first attempt ended."""
    given = _Given()
    for limit in _MEMORY_LIMITS:
        try:
            cursor.execute(f"SET memory_limit = '{limit}'")
            cursor.execute(query)
            _pass_over(cursor, given, place)
            while batch := cursor.fetchmany(_ROWS_AT_A_TIME):
                given.add(batch)
                yield from batch
            return
        except duckdb.OutOfMemoryException:
            if limit == _MEMORY_LIMITS[-1]:
                raise


def _pass_over(cursor: duckdb.DuckDBPyConnection, given: _Given, place: str) -> None:
    """Past the rows that were given. A query without an order of its own may give others before the rest."""
    again = _Given()
    while again.count < given.count:
        batch = cursor.fetchmany(min(_ROWS_AT_A_TIME, given.count - again.count))
        if not batch:
            break
        again.add(batch)
    if again.state != given.state:
        raise SourceError(
            f"{place} gives its rows in another order at every reading: give the view an ORDER BY, or write it to a "
            "table first."
        )


def _row(position: str, columns: list[Column], values: tuple[Any, ...]) -> SourceRow | UnreadableRow:
    row = {}
    for column, value in zip(columns, values, strict=True):
        try:
            row[column.name] = column.convert(value) if column.convert else value
        except ValueError as error:
            return UnreadableRow(position, f"the JSON of the column {column.name} cannot be read: {error}")
    return SourceRow(position, row)
