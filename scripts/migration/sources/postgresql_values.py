"""PostgreSQL's types as plain Python: those that Python has in full, all others as the text that PostgreSQL writes.

psycopg itself raises for infinite dates and those before Christ, and would stop in the middle of a table.
"""

from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.adapt import Buffer, Loader
from psycopg.types import TypeInfo
from psycopg.types.datetime import DateLoader, TimestampLoader, TimestamptzLoader
from psycopg.types.string import TextLoader

from scripts.migration.sources.json_column import parsed

_KEPT = frozenset({"bool", "int2", "int4", "int8", "oid", "float4", "float8", "numeric", "bytea", "text", "varchar"})
_OWN_TYPES = """
    SELECT t.typname, t.oid, t.typarray FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typarray <> 0 AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


class _Date(DateLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


class _Timestamp(TimestampLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


class _Timestamptz(TimestamptzLoader):
    def load(self, data: Buffer) -> Any:
        return _or_text(super().load, data)


_MOMENTS: dict[str, type[Loader]] = {"date": _Date, "timestamp": _Timestamp, "timestamptz": _Timestamptz}


def _or_text(load: Callable[[Buffer], Any], data: Buffer) -> Any:
    try:
        return load(data)
    except psycopg.DataError:
        return bytes(data).decode()


def use_plain_values(connection: psycopg.Connection[Any]) -> None:
    """From here on the connection gives plain Python alone, JSON as text for `converter`."""
    for info in list(connection.adapters.types):
        if info.name not in _KEPT:
            loader: type[Loader] = _MOMENTS.get(info.name) or TextLoader
            connection.adapters.register_loader(info.oid, loader)
    # An array of a type that psycopg does not know, an enum say, is a list only if it is told of that type.
    for name, oid, array in connection.execute(_OWN_TYPES).fetchall():
        TypeInfo(name, oid, array).register(connection)


def converter(type_code: int) -> Callable[[Any], Any] | None:
    """What turns a column's value into plain Python, where psycopg's is not yet."""
    json_types = {psycopg.adapters.types[name].oid for name in ("json", "jsonb")}
    json_arrays = {psycopg.adapters.types[name].array_oid for name in ("json", "jsonb")}
    if type_code in json_types:
        return parsed
    return _parsed_elements if type_code in json_arrays else None


def _parsed_elements(value: Any) -> Any:
    return [_parsed_elements(element) for element in value] if isinstance(value, list) else parsed(value)
