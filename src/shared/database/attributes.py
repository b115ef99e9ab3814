"""Python values to DynamoDB attribute values and back, in one pass each way.

Numbers keep their value: what a float cannot hold exactly stays a Decimal. boto3's own serializer gives Decimals for
everything, wraps binaries, and refuses floats, so that every caller would walk the item a second time.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

AttributeValue = dict[str, Any]
Item = dict[str, AttributeValue]
Row = dict[str, Any]

_LONGEST_PLAIN_INTEGER = 21
"""Digits of the longest integer written out in full: the threshold of ECMAScript's Number::toString."""


def to_attribute(value: object) -> AttributeValue:
    """The attribute value of `value`. Raises TypeError for a type that DynamoDB does not have."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if value is None:
        return {"NULL": True}
    if isinstance(value, int | float | Decimal):
        return {"N": _number_text(value)}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, Mapping):
        return {"M": to_item(value)}
    if isinstance(value, list | tuple):
        return {"L": [to_attribute(member) for member in value]}
    if isinstance(value, set | frozenset):
        return {"SS": sorted(value)}
    raise TypeError(f"DynamoDB has no type for {type(value).__name__}")


def to_item(row: Mapping[str, Any]) -> Item:
    return {name: to_attribute(value) for name, value in row.items()}


def from_attribute(attribute: AttributeValue) -> Any:
    """The Python value of an attribute value.

    Sets and binaries inside a map or list, which only rows of another origin have, come as what JSON has for them:
    lists and base64 texts.
    """
    ((kind, value),) = attribute.items()
    if kind in ("S", "BOOL"):
        return value
    if kind == "N":
        return _number(value)
    if kind == "M":
        return {name: member["S"] if "S" in member else _inner(member) for name, member in value.items()}
    if kind == "L":
        return [member["S"] if "S" in member else _inner(member) for member in value]
    if kind == "NULL":
        return None
    if kind == "SS":
        return set(value)
    if kind == "NS":
        return set(map(_number, value))
    if kind == "B":
        return _bytes(value)
    return set(map(_bytes, value))


def _inner(attribute: AttributeValue) -> Any:
    value = from_attribute(attribute)
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return sorted(_inner_text(member) for member in value) if isinstance(value, set) else value


def _inner_text(member: Any) -> Any:
    return b64encode(member).decode() if isinstance(member, bytes) else member


def _bytes(value: str | bytes) -> bytes:
    """Plain JSON answers hold base64 text, those that the SDK has parsed the bytes themselves."""
    return b64decode(value) if isinstance(value, str) else value


def from_item(item: Mapping[str, AttributeValue]) -> Row:
    # Most attributes are text, and a call for each would take as long as all the rest.
    return {name: value["S"] if "S" in value else from_attribute(value) for name, value in item.items()}


def simplify(number: Decimal) -> int | float | Decimal:
    """The plainest Python number of exactly this value: int, else float, else the Decimal itself."""
    integral = number.is_finite() and number == number.to_integral_value()
    if integral and number.adjusted() < _LONGEST_PLAIN_INTEGER:
        return int(number)
    approximate = float(number)
    if Decimal(repr(approximate)) == number:
        return approximate
    return int(number) if integral else number


def _number(text: str) -> int | float | Decimal:
    if len(text) <= _LONGEST_PLAIN_INTEGER and text.lstrip("-").isdigit():
        return int(text)
    return simplify(Decimal(text))


def _number_text(number: float | Decimal) -> str:
    """Without trailing zeros, which DynamoDB would count as digits; zero without the exponent that JSON may give it."""
    if not number:
        return "0"
    text = repr(number) if isinstance(number, int | float) else str(number)
    if len(text) <= _LONGEST_PLAIN_INTEGER:
        return text
    sign, digits, exponent = Decimal(text).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{number} is not a finite number")
    kept = "".join(map(str, digits)).rstrip("0") or "0"
    return f"{'-' if sign else ''}{kept}E{exponent + len(digits) - len(kept)}"
