"""A source's value to that of a target field, by the type that the mapping states. Nothing is rounded or guessed."""

import base64
import binascii
import struct
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from scripts.migration.failure import Code
from scripts.migration.forms import read_day, read_time
from scripts.migration.rules import FieldRule, Type
from shared.models import json_text
from shared.models.fields import timestamp
from shared.models.vector import Vector

_TRUE, _FALSE = frozenset({"true", "t"}), frozenset({"false", "f"})
_WIDTHS = {"float32": 4, "float64": 8}
_CODES: dict[Type, Code] = {
    "timestamp": Code.BAD_TIME,
    "date": Code.BAD_TIME,
    "integer": Code.BAD_NUMBER,
    "number": Code.BAD_NUMBER,
    "vector": Code.BAD_VECTOR,
}
_DEFAULT_FORMS: dict[Type, tuple[str, ...]] = {"timestamp": ("iso",), "date": ("date",), "vector": ("numbers",)}


def code_of(type_: Type) -> Code:
    """What a row is a reject for, whose value cannot be made one of this type."""
    return _CODES.get(type_, Code.BAD_VALUE)


def converter(type_: Type, rule: FieldRule) -> Callable[[Any], Any]:
    """What makes a value of the type of a source's; it raises ValueError that says what the value is or is not."""
    forms = rule.form or _DEFAULT_FORMS.get(type_, ())
    if type_ == "timestamp":
        return lambda value: timestamp(read_time(value, forms, rule.zone))
    if type_ == "date":
        return lambda value: read_day(value, forms, rule.zone).isoformat()
    if type_ == "vector":
        return lambda value: _vector(value, forms)
    if type_ == "set":
        return lambda value: _set(value, rule.separator)
    return {"text": as_text, "integer": _integer, "number": _number, "boolean": _boolean, "json": _json}[type_]


def constant(value: Any, type_: Type, rule: FieldRule, *, is_member: bool) -> Any:
    """What a mapping states itself, as a value or a default; raises ValueError as a converter does.

    A text in an object's member is itself, and not the JSON text of something. Null stays null where a field can be.
    """
    if value is None and (is_member or type_ in ("text", "json")):
        return None
    if is_member and type_ == "json" and isinstance(value, str):
        return value
    return converter(type_, rule)(value)


def as_text(value: Any) -> str:
    """Whole numbers are texts as well: many a database has them for ids."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return str(_integer(value))
    raise ValueError(f"is {_kind(value)}, and not a text")


def _number(value: Any) -> int | float | Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        raise ValueError(f"is {_kind(value)}, and not a number")
    if not isinstance(value, str):
        return value
    try:
        return int(value) if value.isdigit() and len(value) <= 38 else Decimal(value)
    except InvalidOperation as error:
        raise ValueError("is a text that is not a number") from error


def _integer(value: Any) -> int:
    number = _number(value)
    if isinstance(number, int):
        return number
    exact = Decimal(number)
    if not exact.is_finite() or exact != exact.to_integral_value() or exact.adjusted() > 40:
        raise ValueError("is not a whole number")
    return int(exact)


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise ValueError(f"is {_kind(value)}, and neither true nor false")


def _json(value: Any) -> Any:
    """A document, or the JSON text of one; times and binaries in it, which JSON does not have, become texts."""
    if not isinstance(value, str):
        return _plain(value)
    try:
        return json_text.loads(value)
    except (ValueError, RecursionError) as error:
        raise ValueError("is a text that is not JSON") from error


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    if isinstance(value, datetime) and value.tzinfo is not None:
        return timestamp(value)
    if isinstance(value, date):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _set(value: Any, separator: str | None) -> set[str]:
    if isinstance(value, str) and separator is not None:
        value = [part.strip() for part in value.split(separator)] if value else []
    elif isinstance(value, str):
        value = _json(value)
    if not isinstance(value, list):
        raise ValueError(f"is {_kind(value)}, and not a list of texts")
    return {as_text(member) for member in value}


def _vector(value: Any, forms: tuple[str, ...]) -> list[float] | Vector:
    packed = [form for form in forms if form in _WIDTHS]
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = _json(value)
    if isinstance(value, list) and "numbers" in forms:
        return value
    if isinstance(value, str | bytes) and packed:
        return _unpacked(value if isinstance(value, bytes) else _of_base64(value), packed[0])
    raise ValueError(f"is {_kind(value)}, and not a vector in the form {' or '.join(forms)}")


def _of_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("is a text that is not base64") from error


def _unpacked(data: bytes, form: str) -> list[float]:
    width = _WIDTHS[form]
    if not data or len(data) % width:
        raise ValueError(f"has {len(data)} bytes, and not {width} for each component")
    return list(struct.unpack(f"<{len(data) // width}{'f' if form == 'float32' else 'd'}", data))


def _kind(value: object) -> str:
    names = {
        bool: "a boolean",
        int: "a number",
        float: "a number",
        Decimal: "a number",
        str: "a text",
        type(None): "null",
    }
    names |= {list: "a list", dict: "an object", bytes: "binary", datetime: "a time", date: "a date"}
    return names.get(type(value), f"a {type(value).__name__}")
