"""JSON both ways without losing a digit: a Decimal is sent as the number it is, and read as one by who asks for it."""

import json
import re
import secrets
from array import array
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from math import isfinite
from typing import Any

from .errors import NotSendable, UnexpectedAnswer

ParseFloat = Callable[[str], Any]
"""Makes a number with a fraction or an exponent from its text: `float`, or `decimal.Decimal` for every digit."""

_DIGITS = 9
"""Significant digits that tell any two float32 apart (IEEE 754-2019, section 5.12.2)."""


def dumps(value: object) -> bytes:
    """`value` as compact JSON in UTF-8. Raises NotSendable for what JSON does not have, such as NaN."""
    mark = secrets.token_hex(16)

    def written(part: object) -> object:
        if isinstance(part, Decimal):
            if not part.is_finite():
                raise NotSendable(f"{part} is no number that JSON has")
            return f"{mark}{part}"
        if isinstance(part, Mapping):
            return dict(part)
        raise NotSendable(f"a {type(part).__name__} is nothing that JSON has")

    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=written)
        return re.sub(f'"{mark}([^"]+)"', r"\1", text).encode()
    except UnicodeEncodeError as error:
        raise NotSendable("a text holds half of a surrogate pair, which UTF-8 does not have") from error
    except NotSendable:
        raise
    except (ValueError, TypeError, RecursionError) as error:  # as a circle, a tuple for a name, a thousand levels
        raise NotSendable(f"the value cannot be written as JSON: {error}") from error


def loads(content: bytes, parse_float: ParseFloat = float) -> Any:
    """The value of a JSON text. Raises UnexpectedAnswer for what is not JSON."""
    try:
        return json.loads(content, parse_float=parse_float)
    except ValueError as error:
        raise UnexpectedAnswer(f"the answer is not JSON: {error}") from error


def object_in(content: bytes) -> dict[str, Any]:
    """The object of a JSON text; an empty one where it holds anything else, or is no JSON."""
    try:
        document = json.loads(content)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def float32(numbers: Iterable[float]) -> list[float]:
    """The numbers as the API keeps them, float32, and no longer than that when they are written.

    So a body of 1 MB holds twice the vectors. A number beyond float32 stays as it is: the API names it. Raises
    NotSendable for what is no list of numbers.
    """
    try:
        given = [float(number) for number in numbers]
    except (TypeError, ValueError, OverflowError) as error:
        raise NotSendable(f"the vector is no list of numbers: {error}") from error
    return [_short(number, kept) for number, kept in zip(given, array("f", given), strict=True)]


def _short(number: float, kept: float) -> float:
    """`number`, or where that takes more digits, one of nine that becomes the same float32."""
    if not isfinite(kept) or float(f"{number:.{_DIGITS}g}") == number:
        return number
    return float(f"{kept:.{_DIGITS}g}")
