"""DynamoDB's attribute values as plain Python: numbers are exact, sets are sorted lists, binaries are bytes."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

AttributeValue = Mapping[str, Any]


def plain_item(item: Mapping[str, AttributeValue]) -> dict[str, Any]:
    """Raises ValueError for what is no item, with the attribute's name."""
    return {name: _named(name, attribute) for name, attribute in item.items()}


def _named(name: str, attribute: AttributeValue) -> Any:
    try:
        return plain(attribute)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the attribute {name} is no value of DynamoDB's") from error


def plain(attribute: AttributeValue) -> Any:
    ((kind, value),) = attribute.items()
    return _KINDS[kind](value)


def _binary(value: str | bytes) -> bytes:
    """The SDK gives the bytes themselves, an export has them in base64."""
    return value if isinstance(value, bytes) else b64decode(value, validate=True)


_KINDS: dict[str, Callable[[Any], Any]] = {
    "S": str,
    "N": Decimal,
    "B": _binary,
    "BOOL": bool,
    "NULL": lambda value: None,
    "L": lambda value: [plain(element) for element in value],
    "M": lambda value: {name: plain(member) for name, member in value.items()},
    "SS": sorted,
    "NS": lambda value: sorted(map(Decimal, value)),
    "BS": lambda value: sorted(map(_binary, value)),
}
