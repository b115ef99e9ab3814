"""A second reading of the filter language, as `models/filters.py` documents it: on the documents as they are written.

It takes no parsed filter and no columns: a filter's JSON and a product's JSON, one at a time, numbers as fractions.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Any

_MISSING = ("missing",)
_CONTAINER = ("container",)
_NULLS = (("null",), _MISSING)


def lets_through(condition: dict[str, Any], product: dict[str, Any]) -> bool:
    """Whether a valid filter lets a product through."""
    return all(_member_holds(name, operand, product) for name, operand in condition.items())


def size_of(condition: dict[str, Any]) -> tuple[int, int]:
    """How many conditions a filter has at the least, and how deeply `$and`, `$or` and `$not` are nested in it."""
    count = deepest = 0
    for name, operand in condition.items():
        if name in ("$and", "$or", "$not"):
            inner = [size_of(each) for each in (operand if isinstance(operand, list) else [operand])]
            count += sum(each[0] for each in inner)
            deepest = max([deepest, *(1 + each[1] for each in inner)])
        else:
            count += len(operand) if isinstance(operand, dict) else 1
    return count, deepest


def _member_holds(name: str, operand: Any, product: dict[str, Any]) -> bool:
    if name == "$and":
        return all(lets_through(each, product) for each in operand)
    if name == "$or":
        return any(lets_through(each, product) for each in operand)
    if name == "$not":
        return not lets_through(operand, product)
    found = [_value(value) for value in _reached(product, name.split("."))]
    return _operators_hold(operand, found) if isinstance(operand, dict) else _is_any(found, [operand])


def _operators_hold(operators: dict[str, Any], found: list[Any]) -> bool:
    return all(_operator_holds(name, operand, found) for name, operand in operators.items())


def _operator_holds(name: str, operand: Any, found: list[Any]) -> bool:
    if name == "$not":
        return not _operators_hold(operand, found)
    if name in ("$eq", "$ne"):
        return _is_any(found, [operand]) is (name == "$eq")
    if name in ("$in", "$nin"):
        return _is_any(found, operand) is (name == "$in")
    if name == "$exists":
        return any(value != _MISSING for value in found) is operand
    kind, bound = _value(operand)
    ordered = [value[1] for value in found if value[0] == kind]
    if name == "$lt":
        return any(value < bound for value in ordered)
    if name == "$lte":
        return any(value <= bound for value in ordered)
    return any(value > bound if name == "$gt" else value >= bound for value in ordered)


def _is_any(found: list[Any], operands: list[Any]) -> bool:
    wanted = [_value(operand) for operand in operands]
    return any(value in wanted or (value in _NULLS and ("null",) in wanted) for value in found)


def _reached(value: Any, parts: list[str]) -> list[Any]:
    """What a path leads to: an array stands for the objects in it on the way, for its elements at the end."""
    if not parts:
        return (value or [[]]) if isinstance(value, list) else [value]
    if isinstance(value, list):
        return [each for inner in value if isinstance(inner, dict) for each in _reached(inner, parts)]
    if not isinstance(value, dict) or parts[0] not in value:
        return [_MISSING]
    return _reached(value[parts[0]], parts[1:])


def _value(value: Any) -> tuple[Any, ...]:
    """A JSON value so that equal ones, and only these, are equal: its kind, and what orders it within that."""
    if isinstance(value, tuple):
        return value
    if value is None:
        return ("null",)
    if isinstance(value, bool):
        return "bool", value
    if isinstance(value, str):
        return "text", [ord(character) for character in value]
    if isinstance(value, int | Decimal):
        return "number", Fraction(value) if value else Fraction(0)  # a zero may have any exponent
    return _CONTAINER
