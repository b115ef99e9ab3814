"""The filter language of searches: a subset of MongoDB's query documents, parsed once and tested on JSON documents.

    {"kind": "dog", "price": {"$gte": 10, "$lt": 50}, "$or": [{"tags": "new"}, {"seller.rating": {"$gt": 4.5}}]}

A filter's members must all hold. A member names a path and a value that it equals, or an object of operators that must
all hold: `$eq $ne $in $nin $gt $gte $lt $lte $exists $not`. `$and`, `$or` and `$not` take filters. A path's parts are
joined by dots, so a member whose name holds a dot cannot be asked for.

What holds is MongoDB's ("Query on Embedded/Nested Documents", "Query an Array", "Query for Null or Missing Fields" in
its manual), but for array positions in paths and for objects and arrays as operands, which there are none of:

- an array on the way stands for the objects in it, one at the end for its elements, one level deep: any one may match;
- null equals null and what is missing; an empty array, or one of no objects on the way, is neither;
- `$ne`, `$nin` and `$not` are the exact negations, which documents without the field match, too;
- values compare within their type only (true is not 1), strings by code point, numbers exactly: a float is the decimal
  that it prints as.
"""

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Annotated, Literal

from pydantic import GetPydanticSchema, WithJsonSchema
from pydantic_core import PydanticCustomError, core_schema

from .json_value import JsonObject, find_fault

MAX_CONDITIONS = 100
MAX_NESTING = 10
MAX_PATH = 256
MAX_VALUES = 100

Order = Literal["<", "<=", ">", ">="]
_ORDERS: dict[str, Order] = {"$lt": "<", "$lte": "<=", "$gt": ">", "$gte": ">="}
_NEGATED = {"$ne": "$eq", "$nin": "$in"}
_HOLDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


class Constant(Enum):
    """What a path leads to but numbers and strings; CONTAINER is an object, an array in an array, or an empty one."""

    MISSING = 0
    NULL = 1
    FALSE = 2
    TRUE = 3
    CONTAINER = 4


Key = Decimal | str | Constant
"""A value as it is compared: keys are equal exactly if the values are, and only those of one class have an order."""


@dataclass(frozen=True, slots=True)
class Equal:
    """Is one of these (`$eq`, `$in`); they hold MISSING where they hold NULL."""

    keys: frozenset[Key]

    def holds(self, key: Key) -> bool:
        return key in self.keys


@dataclass(frozen=True, slots=True)
class Compare:
    """Is of the operand's class and stands in this order to it."""

    order: Order
    operand: Decimal | str

    def holds(self, key: Key) -> bool:
        return type(key) is type(self.operand) and bool(_HOLDS[self.order](key, self.operand))


@dataclass(frozen=True, slots=True)
class Exists:
    """Is there, null included."""

    def holds(self, key: Key) -> bool:
        return key is not Constant.MISSING


Test = Equal | Compare | Exists
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """The test holds for at least one value that the path leads to."""

    path: Path
    test: Test


@dataclass(frozen=True, slots=True)
class All:
    """Every filter matches; none: every document does."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Any:
    """At least one filter matches."""

    filters: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True)
class Not:
    """The filter does not match."""

    filter: "Filter"


Filter = All | Any | Not | Field
"""A parsed filter: immutable and hashable."""


class FilterError(ValueError):
    """Why a document is no filter; `pointer` is a JSON Pointer (RFC 6901) from the document's root."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer}: {message}" if pointer else message)
        self.pointer = pointer
        self.message = message


def parse_filter(document: JsonObject) -> Filter:
    """The filter that a JSON object describes. Raises FilterError, for more than the limits allow as well."""
    fault = find_fault(document)
    if fault:
        raise FilterError(fault.pointer, fault.reason)
    parsed = _filter(document, "", 0)
    conditions = _count(parsed)
    if conditions > MAX_CONDITIONS:
        raise FilterError("", f"has {conditions} conditions; at most {MAX_CONDITIONS} are allowed")
    return parsed


def _validated(document: JsonObject) -> Filter:
    try:
        return parse_filter(document)
    except FilterError as error:
        context = {"pointer": error.pointer, "reason": error.message}
        raise PydanticCustomError("invalid_filter", "{reason}", context) from error


FilterDocument = Annotated[
    Filter,
    GetPydanticSchema(
        lambda _, handler: core_schema.no_info_after_validator_function(_validated, handler.generate_schema(JsonObject))
    ),
    WithJsonSchema({"x-component": "Filter"}),
]
"""A request's member that is a JSON object and becomes a Filter."""


def matches(filter: Filter, document: JsonObject) -> bool:
    """Whether the filter lets this document through."""
    match filter:
        case All(filters):
            return all(matches(each, document) for each in filters)
        case Any(filters):
            return any(matches(each, document) for each in filters)
        case Not(negated):
            return not matches(negated, document)
        case Field(path, test):
            return any(test.holds(key_of(value)) for value in values_at(document, path))


def paths_of(filter: Filter) -> Iterator[Path]:
    """The paths that the filter tests, each as often as it does."""
    match filter:
        case All(filters) | Any(filters):
            for each in filters:
                yield from paths_of(each)
        case Not(negated):
            yield from paths_of(negated)
        case Field(path):
            yield path


def values_at(value: object, path: Path) -> list[object]:
    """What the path leads to from a document: JSON values, or Constants where there is none to speak of.

    It leads to MISSING where an object lacks a member, and nowhere (`[]`) through an array of no objects.
    """
    for depth, name in enumerate(path):
        if isinstance(value, dict):
            value = value.get(name, Constant.MISSING)
        elif isinstance(value, list):
            return [found for each in value if isinstance(each, dict) for found in values_at(each, path[depth:])]
        else:
            return [Constant.MISSING]
    if isinstance(value, list):
        return value or [Constant.CONTAINER]
    return [value]


def key_of(value: object) -> Key:
    """The key of a JSON value (of finite numbers) or of a Constant, which is its own."""
    match value:
        case str() | Decimal() | Constant():
            return value
        case None:
            return Constant.NULL
        case True:
            return Constant.TRUE
        case False:
            return Constant.FALSE
        case int():
            return Decimal(value)
        case float():
            return Decimal(repr(value))
    return Constant.CONTAINER


def _filter(document: object, pointer: str, depth: int) -> Filter:
    members = _object(document, pointer, depth).items()
    return _all([_member(name, operand, pointer + _step(name), depth) for name, operand in members])


def _member(name: str, operand: object, pointer: str, depth: int) -> Filter:
    match name:
        case "$and":
            return All(_filters(operand, pointer, depth + 1))
        case "$or":
            return Any(_filters(operand, pointer, depth + 1))
        case "$not":
            return Not(_filter(operand, pointer, depth + 1))
    path = _path(name, pointer)
    if isinstance(operand, dict):
        return _expression(path, operand, pointer, depth)
    return Field(path, _equal([operand], [pointer]))


def _filters(operand: object, pointer: str, depth: int) -> tuple[Filter, ...]:
    if not isinstance(operand, list) or not operand:
        raise FilterError(pointer, "must be a list of at least one filter")
    return tuple(_filter(each, f"{pointer}/{index}", depth) for index, each in enumerate(operand))


def _expression(path: Path, operators: object, pointer: str, depth: int) -> Filter:
    members = _object(operators, pointer, depth).items()
    if not members:
        raise FilterError(pointer, "must name an operator")
    return _all([_condition(path, name, operand, pointer + _step(name), depth) for name, operand in members])


def _condition(path: Path, name: str, operand: object, pointer: str, depth: int) -> Filter:
    match name:
        case "$eq":
            return Field(path, _equal([operand], [pointer]))
        case "$in":
            return Field(path, _one_of(operand, pointer))
        case "$ne" | "$nin":
            return Not(_condition(path, _NEGATED[name], operand, pointer, depth))
        case "$lt" | "$lte" | "$gt" | "$gte":
            return Field(path, Compare(_ORDERS[name], _ordered(operand, pointer)))
        case "$exists":
            return _exists(path, operand, pointer)
        case "$not":
            return Not(_expression(path, operand, pointer, depth + 1))
    raise FilterError(pointer, "is not an operator on a value; a path into an object is written with dots")


def _exists(path: Path, operand: object, pointer: str) -> Filter:
    if not isinstance(operand, bool):
        raise FilterError(pointer, "must be true or false")
    exists = Field(path, Exists())
    return exists if operand else Not(exists)


def _one_of(operand: object, pointer: str) -> Equal:
    if not isinstance(operand, list) or len(operand) > MAX_VALUES:
        raise FilterError(pointer, f"must be a list of at most {MAX_VALUES} values")
    return _equal(operand, [f"{pointer}/{index}" for index in range(len(operand))])


def _equal(operands: list[object], pointers: list[str]) -> Equal:
    keys = frozenset(map(_scalar, operands, pointers))
    return Equal(keys | {Constant.MISSING} if Constant.NULL in keys else keys)


def _scalar(operand: object, pointer: str) -> Key:
    key = key_of(operand)
    if key is Constant.CONTAINER:
        raise FilterError(pointer, "must be a string, a number, true, false or null")
    return key


def _ordered(operand: object, pointer: str) -> Decimal | str:
    key = key_of(operand)
    if isinstance(key, Constant):
        raise FilterError(pointer, "must be a string or a number")
    return key


def _path(name: str, pointer: str) -> Path:
    parts = tuple(name.split("."))
    if name.startswith("$"):
        raise FilterError(pointer, "is not an operator on filters; these are $and, $or and $not")
    if len(name) > MAX_PATH:
        raise FilterError(pointer, f"is a path of {len(name)} characters; at most {MAX_PATH} are allowed")
    if not all(parts) or any(part.startswith("$") for part in parts):
        raise FilterError(pointer, "is a path with a part that is empty or begins with $")
    return parts


def _object(value: object, pointer: str, depth: int) -> JsonObject:
    if not isinstance(value, dict):
        raise FilterError(pointer, "must be an object")
    if depth > MAX_NESTING:
        raise FilterError(pointer, f"is nested in more than {MAX_NESTING} operators")
    return value


def _all(filters: list[Filter]) -> Filter:
    return filters[0] if len(filters) == 1 else All(tuple(filters))


def _count(filter: Filter) -> int:
    """Conditions of a filter; one that lets everything through counts as one, so that the work is bounded, too."""
    match filter:
        case All(filters) | Any(filters):
            return sum(map(_count, filters)) or 1
        case Not(negated):
            return _count(negated)
        case Field():
            return 1


def _step(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")
