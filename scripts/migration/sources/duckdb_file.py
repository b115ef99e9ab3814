"""A DuckDB database file: its tables and views, opened for reading alone."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from scripts.migration.sources import duckdb_reading
from scripts.migration.sources.duckdb_values import quoted
from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow

_TABLES = """
    SELECT table_schema, table_name FROM information_schema.tables
    WHERE table_catalog = current_database() ORDER BY table_schema, table_name
"""
_HOME = "main"
_HOLDER = re.compile(r"\(PID (\d+)\)")


@dataclass(frozen=True, slots=True)
class DuckDbFile:
    """A table of the schema `main` is called by its name alone, one of another schema `schema.table`."""

    path: Path
    connection: duckdb.DuckDBPyConnection
    relations: dict[str, str]

    def collections(self) -> list[str]:
        return list(self.relations)

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        if collection not in self.relations:
            raise SourceError(f"{self.path} has no table {collection}; it has {', '.join(self.relations) or 'none'}.")
        return duckdb_reading.rows(self.connection, self.relations[collection], collection)

    def left_out(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self.connection.close()


def open_source(place: str, options: Options) -> DuckDbFile:
    """Raises SourceError for a file that is missing, damaged, locked by another process or of a newer DuckDB."""
    path = Path(place)
    if not path.is_file():
        raise SourceError(f"{path} is not there, or is not a file: name the DuckDB file, such as duckdb:k9_api.db.")
    try:
        connection = _connect(path)
        relations = dict(_relation(*names) for names in connection.execute(_TABLES).fetchall())
    except duckdb.Error as error:
        raise SourceError(_explained(path, error)) from error
    return DuckDbFile(path, connection, relations)


def _connect(path: Path) -> duckdb.DuckDBPyConnection:
    """A view of the file cannot read other files: it may come from anywhere."""
    config = duckdb_reading.CONFIG | {"enable_external_access": False}
    connection = duckdb.connect(os.fspath(path), read_only=True, config=config)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _relation(schema: str, table: str) -> tuple[str, str]:
    name = table if schema == _HOME else f"{schema}.{table}"
    return name, f"{quoted(schema)}.{quoted(table)}"


def _explained(path: Path, error: duckdb.Error) -> str:
    text = duckdb_reading.reason(error)
    if "Could not set lock" in text:
        holder = _HOLDER.search(text)
        process = f"process {holder[1]}" if holder else "another process"
        return f"{path} is open in {process}: stop that first, or copy the file, and its .wal if there is one."
    if "storage version" in text:
        return (
            f"{path} was written by a newer DuckDB than {duckdb.__version__}, which is installed here: "
            "install that version, or write the file anew with `EXPORT DATABASE`, and migrate what that gives."
        )
    if "not a valid DuckDB" in text:
        return f"{path} is not a DuckDB database file."
    return f"{path} cannot be opened, or is damaged: {text}"
