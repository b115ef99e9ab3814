"""Parquet: one file, or a folder of them.

In a folder each file is a collection, called by its name without `.parquet`, and so is each folder below, whose files
are the parts of one. Folders called `column=value` add this column to what is in them, as Spark and Hive write them; a
folder of such folders is one collection. What begins with `_` or `.` is no data to these, and is left out.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import unquote

import duckdb

from scripts.migration.sources import duckdb_reading
from scripts.migration.sources.duckdb_values import literal
from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow
from scripts.migration.sources.unchanged import FileState

_ENDING = ".parquet"
_DELTA = "_delta_log"
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_WILDCARDS = re.compile(r"([*?\[])")
_MAX_DIGITS = 38
_LONG_DECIMALS = "SELECT name, precision FROM parquet_schema({}) WHERE converted_type = 'DECIMAL' AND precision > {}"


@dataclass(frozen=True, slots=True)
class _Part:
    """One file; `place` is its path below the folder that was named, `added` the columns that its folders say."""

    state: FileState
    place: str
    added: Mapping[str, str | None]

    @classmethod
    def of(cls, path: Path, root: Path) -> Self:
        place = path.relative_to(root)
        return cls(FileState.of(path), place.as_posix(), dict(_partitions(place)))

    @property
    def relation(self) -> str:
        return f"read_parquet({self.pattern}, hive_partitioning = false)"

    @property
    def pattern(self) -> str:
        """The path as SQL, in which no character stands for others."""
        return literal(_WILDCARDS.sub(r"[\1]", os.fspath(self.state.path)))


@dataclass(frozen=True, slots=True)
class ParquetFiles:
    parts: dict[str, list[_Part]]
    connection: duckdb.DuckDBPyConnection
    others: int

    def collections(self) -> list[str]:
        return list(self.parts)

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        if collection not in self.parts:
            raise SourceError(f"There is no Parquet file of {collection}; there is {', '.join(self.parts)}.")
        for part in self.parts[collection]:
            part.state.ensure()
            self._refuse_long_decimals(part)
            yield from self._rows(part)
            part.state.ensure()

    def left_out(self) -> dict[str, int]:
        return {"other files": self.others} if self.others else {}

    def close(self) -> None:
        self.connection.close()

    def _rows(self, part: _Part) -> Iterator[SourceRow | UnreadableRow]:
        for row in duckdb_reading.rows(self.connection, part.relation, part.place):
            if part.added and isinstance(row, SourceRow):
                _refuse_shadows(part, row)
                row = SourceRow(row.position, {**row.values, **part.added})
            yield row

    def _refuse_long_decimals(self, part: _Part) -> None:
        """DuckDB would give them as floats, with most of their digits lost."""
        question = _LONG_DECIMALS.format(part.pattern, _MAX_DIGITS)
        try:
            found = self.connection.execute(question).fetchone()
        except duckdb.Error as error:
            raise SourceError(f"{part.place} cannot be read: {duckdb_reading.reason(error)}") from error
        if found:
            raise SourceError(
                f"{part.place} has decimals of {found[1]} digits in the column {found[0]}; neither DuckDB nor DynamoDB "
                f"holds more than {_MAX_DIGITS}: write it anew with fewer digits, or as text."
            )


def open_source(place: str, options: Options) -> ParquetFiles:
    """Raises SourceError where there is no Parquet file."""
    root = Path(place)
    files = _files(root)
    parts: dict[str, list[_Part]] = {}
    base = _base(root)
    for path in files:
        if path == root or (path.name.endswith(_ENDING) and not _is_aside(path.relative_to(root))):
            parts.setdefault(_collection(path.relative_to(base)), []).append(_Part.of(path, base))
    if not parts:
        raise SourceError(f"{root} holds no {_ENDING} file.")
    connection = duckdb.connect(config=duckdb_reading.CONFIG)
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return ParquetFiles(parts, connection, len(files) - sum(map(len, parts.values())))


def _files(root: Path) -> list[Path]:
    if not root.exists():
        raise SourceError(f"{root} is not there: name a Parquet file, or a folder of them.")
    if not root.is_dir():
        return [root]
    if table := next(root.rglob(_DELTA), None):
        raise SourceError(
            f"{table.parent} is a Delta table, which keeps files of rows that are gone: write its rows to plain "
            "Parquet files first."
        )
    return sorted(path for path in root.rglob("*") if path.is_file())


def _refuse_shadows(part: _Part, row: SourceRow) -> None:
    shadowed = sorted(part.added.keys() & row.values.keys())
    if shadowed:
        raise SourceError(
            f"{part.place} has a column {shadowed[0]}, and so has its folder: which is right? Rename the folder, or "
            "write the file anew without the column."
        )


def _is_aside(place: Path) -> bool:
    return any(part.startswith(("_", ".")) for part in place.parts)


def _base(root: Path) -> Path:
    """The folder whose entries are the collections."""
    partitioned = root.is_dir() and any("=" in folder.name for folder in root.iterdir() if folder.is_dir())
    return root if root.is_dir() and not partitioned else root.parent


def _collection(place: Path) -> str:
    return place.parts[0].removesuffix(_ENDING)


def _partitions(place: Path) -> Iterator[tuple[str, str | None]]:
    for folder in place.parts[1:-1]:
        name, equals, value = folder.partition("=")
        if equals:
            yield unquote(name), None if value == _NO_VALUE else unquote(value)
