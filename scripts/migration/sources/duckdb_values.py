"""How a column is selected so that DuckDB's Python values keep all that it holds.

Left to itself the client cuts nanoseconds, counts a month of an interval as 30 days, and gives infinite dates as the
last day of 9999. Such types are selected as the text that DuckDB writes for them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from duckdb.sqltypes import DuckDBPyType

from scripts.migration.sources.json_column import parsed

Convert = Callable[[Any], Any]

_INTEGERS = frozenset({"tinyint", "smallint", "integer", "bigint", "hugeint"})
_UNSIGNED = frozenset({"utinyint", "usmallint", "uinteger", "ubigint", "uhugeint"})
_EXACT = _INTEGERS | _UNSIGNED | {"boolean", "float", "double", "decimal", "varchar", "blob"}
_MOMENTS = {
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamp_s": "TIMESTAMP",
    "timestamp_ms": "TIMESTAMP",
    "timestamp with time zone": "TIMESTAMPTZ",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: the expression that selects it, and what turns its value into plain Python, where anything must."""

    name: str
    expression: str
    convert: Convert | None

    @classmethod
    def of(cls, name: str, kind: DuckDBPyType) -> "Column":
        return cls(name, _expression(quoted(name), kind), _converter(kind))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _expression(column: str, kind: DuckDBPyType) -> str:
    if kind.id in _MOMENTS:
        return _moment(column, _MOMENTS[kind.id])
    target = _exact_type(kind)
    return column if target == str(kind) else f"CAST({column} AS {target})"


def _moment(column: str, kind: str) -> str:
    """A value of Python's own where it has one, else text: both are members of one union."""
    union = f"UNION(moment {kind}, written VARCHAR)"
    return (
        f"CASE WHEN isfinite({column}) THEN union_value(moment := CAST({column} AS {kind}))::{union} "
        f"ELSE union_value(written := CAST({column} AS VARCHAR))::{union} END"
    )


def _exact_type(kind: DuckDBPyType) -> str:
    if kind.id == "struct":
        return f"STRUCT({_members(_children(kind))})"
    if kind.id == "union":
        return f"UNION({_members(list(_children(kind))[1:])})"  # the first is the tag
    if kind.id in ("list", "array"):
        return _exact_type(_child(kind, "child")) + "[]"
    if kind.id == "map":
        return f"MAP(VARCHAR, {_exact_type(_child(kind, 'value'))})"
    return str(kind) if kind.id in _EXACT else "VARCHAR"


def _members(children: Iterator[tuple[str, DuckDBPyType]] | list[tuple[str, DuckDBPyType]]) -> str:
    return ", ".join(f"{quoted(name)} {_exact_type(kind)}" for name, kind in children)


def _children(kind: DuckDBPyType) -> Iterator[tuple[str, DuckDBPyType]]:
    return ((name, child) for name, child in kind.children if isinstance(child, DuckDBPyType))


def _child(kind: DuckDBPyType, name: str) -> DuckDBPyType:
    return dict(_children(kind))[name]


def _converter(kind: DuckDBPyType) -> Convert | None:
    """JSON is a type of its own that arrives as text, wherever in a value it stands."""
    if str(kind) == "JSON":
        return parsed
    if kind.id == "struct":
        return _of_members({name: _converter(child) for name, child in _children(kind)})
    if kind.id == "map":
        return _of_values(_converter(_child(kind, "value")))
    if kind.id in ("list", "array"):
        return _of_elements(_converter(_child(kind, "child")))
    return None


def _of_members(converters: dict[str, Convert | None]) -> Convert | None:
    needed = {name: convert for name, convert in converters.items() if convert}
    if not needed:
        return None
    return lambda value: (
        value and {name: needed[name](member) if name in needed else member for name, member in value.items()}
    )


def _of_values(convert: Convert | None) -> Convert | None:
    return convert and (lambda value: value and {name: convert(member) for name, member in value.items()})


def _of_elements(convert: Convert | None) -> Convert | None:
    return convert and (lambda value: value and [convert(element) for element in value])
