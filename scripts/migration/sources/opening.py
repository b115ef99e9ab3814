"""From an address, such as `duckdb:k9_api.db`, to the source it names. A kind is imported when it is asked for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from scripts.migration.sources.options import Options
from scripts.migration.sources.source import Source, SourceError


@dataclass(frozen=True, slots=True)
class _Kind:
    """`library` is what its module imports beside the plain install, and `extra` the lock file that has it."""

    module: str
    library: str = ""
    extra: str = ""


_KINDS = {
    "json": _Kind("json_file"),
    "ndjson": _Kind("ndjson_file"),
    "csv": _Kind("csv_file"),
    "duckdb": _Kind("duckdb_file", "duckdb", "requirements/migrate-duckdb.txt"),
    "parquet": _Kind("parquet_files", "duckdb", "requirements/migrate-parquet.txt"),
    "couchdb": _Kind("couchdb"),
    "postgresql": _Kind("postgresql", "psycopg", "requirements/migrate-postgresql.txt"),
    "dynamodb": _Kind("dynamodb_tables"),
    "dynamodb-export": _Kind("dynamodb_export"),
}


def open_source(address: str, *, collections: Iterable[str] = (), options: Mapping[str, Any] | None = None) -> Source:
    """The source of an address. `collections` and `options` are those of the mapping.

    Raises SourceError where it cannot be opened, with what to do: the requirements to install, say.
    """
    kind, colon, place = address.partition(":")
    if not colon or kind not in _KINDS:
        raise SourceError(f"{kind!r} is no kind of source: write KIND:PLACE, with one of {', '.join(_KINDS)} as KIND.")
    module = _module(kind)
    source: Source = module.open_source(place, Options.of(collections, options or {}))
    return source


def _module(kind: str) -> Any:
    wanted = _KINDS[kind]
    try:
        return import_module(f"scripts.migration.sources.{wanted.module}")
    except ModuleNotFoundError as error:
        if not wanted.library or (error.name or "").partition(".")[0] != wanted.library:
            raise
        raise SourceError(
            f"Reading {kind} needs {wanted.library}, which is not installed: "
            f"python -m pip install --require-hashes --requirement {wanted.extra}"
        ) from error
