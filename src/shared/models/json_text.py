"""JSON text to Python and back without losing a digit: numbers are exact (int or Decimal), never rounded to a float.

NaN and Infinity are no JSON, yet many an encoder writes them: they come as the Decimals of that name, which every check
of a document refuses, so that the answer can say where they are.
"""

import json
import re
import secrets
from decimal import Decimal, InvalidOperation
from typing import Any

from ..process import per_process

_MAX_INTEGER_TEXT = 38


def loads(text: str) -> Any:
    """The value of a JSON text (RFC 8259). Raises ValueError for what is not JSON, RecursionError for deep nesting."""
    return json.loads(
        text,
        parse_float=_parse_number,
        parse_int=_parse_integer,
        parse_constant=Decimal,
        object_pairs_hook=_object,
    )


def dumps(value: Any) -> str:
    """`value` as compact JSON. A Decimal is written as the number it is, which the encoder alone cannot do.

    Raises ValueError for a float that is not finite, TypeError for what JSON does not have.
    """
    mark = _mark()
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=mark.put)
    return mark.taken_off(text)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(members)
    if len(document) != len(members):
        raise ValueError("an object names a member twice")
    return document


def _parse_integer(text: str) -> int | Decimal:
    return int(text) if len(text) <= _MAX_INTEGER_TEXT else _parse_number(text)


def _parse_number(text: str) -> Decimal:
    """Exact; a number beyond what Decimal can hold becomes Infinity, which every check of a document refuses."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("Infinity")


class _Mark:
    """What a Decimal is written behind, as a text, until the quotes are taken off: a text that nobody can guess."""

    def __init__(self) -> None:
        self.text = secrets.token_hex(16)
        self._pattern = re.compile(f'"{self.text}([^"]+)"')

    def put(self, value: object) -> str:
        if isinstance(value, Decimal):
            if not value.is_finite():
                raise ValueError("JSON has finite numbers only")
            return f"{self.text}{value}"
        raise TypeError(f"{type(value).__name__} is not a JSON value")

    def taken_off(self, text: str) -> str:
        return self._pattern.sub(r"\1", text) if self.text in text else text


_mark = per_process(_Mark)
