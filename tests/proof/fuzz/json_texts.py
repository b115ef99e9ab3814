"""The text of request bodies: JSON whose numbers are exact."""

import json
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from shared.models import json_text
from shared.models.json_value import find_fault

from . import json_mutation
from .target import Raw, Target


class _Twice(Exception):
    pass


def check(data: bytes) -> str:
    """What is read is what the text says, to the last digit; and what can be stored is written and read as the same."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return "refused: no text"
    is_json, expected = _read(text)
    try:
        value = json_text.loads(text)
    except RecursionError:
        return "refused: too deep"
    except ValueError:
        assert not is_json, "JSON is refused"
        return "refused"
    assert is_json, "what is no JSON is accepted"
    if find_fault(value) is not None:
        return "accepted: not to be stored"
    assert plain(value) == expected, "a value is not what the text says"
    written = json_text.dumps(value)
    assert plain(json_text.loads(written)) == expected, "a value is written as another"
    return "accepted"


def _read(text: str) -> tuple[bool, Any]:
    """Whether it is JSON that names no member twice, and its value, numbers as fractions."""
    try:
        value = json.loads(
            text, parse_int=_Number, parse_float=_Number, parse_constant=_Number, object_pairs_hook=_members
        )
        return True, plain(value)
    except (ValueError, RecursionError, _Twice):
        return False, None


class _Number(str):
    """A number as it is written."""

    __slots__ = ()


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _Twice
    return dict(pairs)


def plain(value: Any) -> Any:
    """The value with every number as a pair that no other value equals; those that are beyond storing as their text."""
    if isinstance(value, dict):
        return {name: plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [plain(member) for member in value]
    if isinstance(value, _Number) or type(value) in (int, Decimal, float):
        return "number", _fraction(str(value))
    return value


def _fraction(text: str) -> Fraction | str:
    mantissa, _, exponent = text.lower().partition("e")
    if not mantissa.strip("-0."):
        return Fraction(0)  # whatever the exponent, which would be worked out
    return Fraction(text) if text[-1].isdigit() and len(text) < 300 and abs(int(exponent or 0)) < 1000 else text


_NAMES = ("a", "b", "", "\u00e9")
_VALUES = ("1e38", "0.1", "1.10", "-0.0", "1E+2", "12345678901234567890123456789012345678", '"\\ud800"', '"\\/"')


def _seeds() -> list[bytes]:
    return [
        b'{"a":[1,-2.50,1e3,true,null,"x"],"b":{"":{}}}',
        b'{"a":1,"a":2}',
        b'[NaN,1e999999999999999999999,"\\ud800"]',
        '["\u00e9\\u00e9\U0001f600", 12345678901234567890123456789012345678901234567890]'.encode(),
        b"[" * 3000,
        b"[" * 40 + b"]" * 40,
        b"\xff",
        b"",
    ]


_VOCABULARY = json_mutation.Vocabulary(_NAMES, _VALUES, _seeds()[:1])


def _mutate(data: bytes, source: Random, raw: Raw, longest: int) -> bytes:
    return (
        raw(data, longest) if source.random() < 0.15 else json_mutation.mutate(data, source, raw, longest, _VOCABULARY)
    )


_LABELS = ("refused: no text", "refused: too deep", "refused", "accepted: not to be stored", "accepted")
JSON_TEXTS = Target(
    "json-text", _LABELS, check, _mutate, _seeds, runs=1_000_000, words=(b"true", b"null", b"NaN", b"\\u", b"e-", b"E+")
)
