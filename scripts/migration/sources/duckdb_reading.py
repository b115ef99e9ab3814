"""Rows out of DuckDB, streamed: for its own files and for those that it reads."""

from collections.abc import Iterator
from contextlib import closing
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
            for number, values in enumerate(_selected(cursor, query), 1):
                yield _row(f"{place}:{number}", columns, values)
    except duckdb.Error as error:
        raise SourceError(f"{place} cannot be read: {reason(error)}") from error


def reason(error: duckdb.Error) -> str:
    """DuckDB's own words, without the stack that it adds to some."""
    return str(error).split("\n\n")[0].strip()


def _columns(cursor: duckdb.DuckDBPyConnection, relation: str) -> list[Column]:
    cursor.execute(f"SELECT * FROM {relation} LIMIT 0")  # noqa: S608
    return [Column.of(described[0], described[1]) for described in cursor.description or ()]


def _selected(cursor: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[Any, ...]]:
    """In little memory, or where rows are too large for it, from there on in more."""
    done = 0
    for limit in _MEMORY_LIMITS:
        try:
            cursor.execute(f"SET memory_limit = '{limit}'")
            cursor.execute(f"{query} OFFSET {done}")
            while batch := cursor.fetchmany(_ROWS_AT_A_TIME):
                yield from batch
                done += len(batch)
            return
        except duckdb.OutOfMemoryException:
            if limit == _MEMORY_LIMITS[-1]:
                raise


def _row(position: str, columns: list[Column], values: tuple[Any, ...]) -> SourceRow | UnreadableRow:
    row = {}
    for column, value in zip(columns, values, strict=True):
        try:
            row[column.name] = column.convert(value) if column.convert else value
        except ValueError as error:
            return UnreadableRow(position, f"the JSON of the column {column.name} cannot be read: {error}")
    return SourceRow(position, row)
