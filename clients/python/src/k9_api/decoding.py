"""JSON documents to frozen dataclasses, by the types of their fields. What a newer API has besides is left out."""

from collections.abc import Hashable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import UnexpectedAnswer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

M = TypeVar("M", bound="DataclassInstance")
FROM_HEADER = "from_header"
"""Of a field's metadata: the header that its value is read from, as the body does not have it."""


def decode(model: type[M], document: object, headers: Mapping[str, str]) -> M:
    """The model that a document is. Raises UnexpectedAnswer, with a pointer, for what it lacks or has otherwise."""
    return _model(model, document, "", headers)


def _model(model: type[M], document: object, pointer: str, headers: Mapping[str, str]) -> M:
    if not isinstance(document, dict):
        raise _unexpected(pointer, "an object", document)
    kinds = _kinds(model)
    values: dict[str, Any] = {}
    for each in fields(model):
        if FROM_HEADER in each.metadata:
            values[each.name] = _from_header(each, headers)
        elif each.name in document:
            values[each.name] = _value(kinds[each.name], document[each.name], f"{pointer}/{each.name}", headers)
        elif each.default is MISSING:
            raise UnexpectedAnswer(f"the answer has no {pointer}/{each.name}")
    return model(**values)


@cache
def _kinds(model: Hashable) -> dict[str, Any]:
    return get_type_hints(model)


def _from_header(each: Field[Any], headers: Mapping[str, str]) -> int:
    name = each.metadata[FROM_HEADER]
    stated = headers.get(name, "").strip('"')
    if not (stated.isascii() and stated.isdigit()):
        raise UnexpectedAnswer(f"the answer has no {name} that is a version")
    return int(stated)


def _value(kind: Any, value: object, pointer: str, headers: Mapping[str, str]) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        (inner,) = (each for each in arguments if each is not NoneType)
        return _value(inner, value, pointer, headers)
    if origin is tuple:
        return _items(arguments[0], value, pointer, headers)
    if origin is dict:
        return _members(arguments[1], value, pointer, headers)
    if isinstance(kind, type) and is_dataclass(kind):
        return _model(kind, value, pointer, headers)
    return _scalar(kind, value, pointer)


def _items(kind: Any, value: object, pointer: str, headers: Mapping[str, str]) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _unexpected(pointer, "a list", value)
    if kind is float and all(type(each) is float for each in value):  # a vector has hundreds
        return tuple(value)
    return tuple(_value(kind, each, f"{pointer}/{index}", headers) for index, each in enumerate(value))


def _members(kind: Any, value: object, pointer: str, headers: Mapping[str, str]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _unexpected(pointer, "an object", value)
    return {name: _value(kind, each, f"{pointer}/{name}", headers) for name, each in value.items()}


def _scalar(kind: Any, value: object, pointer: str) -> Any:
    """A float may come as an integer, and as a Decimal where these were asked for; it is a float all the same."""
    if kind is float and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise _unexpected(pointer, f"a value of type {kind.__name__}", value)
    return value


def _unexpected(pointer: str, wanted: str, value: object) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"the answer has {type(value).__name__} at {pointer or '/'} instead of {wanted}")
