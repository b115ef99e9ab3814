"""JSON documents that clients keep with us: which ones can be stored exactly, and why another cannot.

The limits are DynamoDB's ("Service, account, and table quotas", "DynamoDB item sizes and formats" in its developer
guide); a document within them comes back equal, number for number.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic_core import PydanticCustomError

MAX_DEPTH = 31
"""Nested objects and lists; DynamoDB allows 32 levels and the attribute that holds the document is one of them."""

MAX_DIGITS = 38
MIN_EXPONENT, MAX_EXPONENT = -130, 125
_SAFE_INTEGER = 10**MAX_DIGITS

JsonObject = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a document cannot be stored; `pointer` is a JSON Pointer (RFC 6901) from the document's root."""

    pointer: str
    reason: str


def find_fault(document: object, *, is_item: bool = False) -> Fault | None:
    """The first thing in `document` that cannot be stored, or None; an item's own members are no level of nesting."""
    return next(_faults(document, (), -1 if is_item else 0), None)


def stored_size(value: object) -> int:
    """Bytes of `value` in a DynamoDB item: text as UTF-8, half a byte a digit, 3 bytes a container, 1 an element."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bool) or value is None:
        return 1
    if isinstance(value, int | float | Decimal):
        return _number_size(value)
    if isinstance(value, Mapping):
        return 3 + sum(1 + len(name.encode()) + stored_size(member) for name, member in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 3 + sum(1 + stored_size(member) for member in value)
    raise TypeError(f"{type(value).__name__} is not a JSON value")


def storable_within(max_bytes: int) -> Callable[[JsonObject], JsonObject]:
    """A pydantic validator of JSON objects that can be stored, in at most `max_bytes` (see `stored_size`)."""

    def check(document: JsonObject) -> JsonObject:
        fault = find_fault(document) or _size_fault(document, max_bytes)
        if fault:
            raise PydanticCustomError("unstorable", "{reason}", {"pointer": fault.pointer, "reason": fault.reason})
        return document

    return check


def _size_fault(document: JsonObject, max_bytes: int) -> Fault | None:
    size = stored_size(document)
    return Fault("", f"takes {size} bytes stored; at most {max_bytes} are allowed") if size > max_bytes else None


def _faults(value: object, path: tuple[str, ...], depth: int) -> Iterator[Fault]:
    if isinstance(value, str):
        reason = _text_fault(value)
    elif isinstance(value, bool) or value is None:
        reason = None
    elif isinstance(value, int | float | Decimal):
        reason = _number_fault(value)
    elif isinstance(value, Mapping | list):
        if depth < MAX_DEPTH:
            yield from _member_faults(value, path, depth + 1)
            return
        reason = f"is nested deeper than {MAX_DEPTH} levels"
    else:
        reason = f"is a {type(value).__name__}, which JSON does not have"
    if reason:
        yield Fault(_pointer(path), reason)


def _member_faults(container: Mapping[Any, Any] | list[Any], path: tuple[str, ...], depth: int) -> Iterator[Fault]:
    if isinstance(container, list):
        for index, member in enumerate(container):
            yield from _faults(member, (*path, str(index)), depth)
        return
    for name, member in container.items():
        if not isinstance(name, str) or _text_fault(name):
            yield Fault(_pointer(path), "has a member name that is not valid Unicode text")
            return
        yield from _faults(member, (*path, name), depth)


def _text_fault(text: str) -> str | None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds half of a surrogate pair, which is not valid Unicode"
    return None


def _number_fault(number: float | Decimal) -> str | None:
    if isinstance(number, int) and -_SAFE_INTEGER < number < _SAFE_INTEGER:
        return None
    if number != number:  # NaN alone is not what it is
        return "is not a number"
    digits, exponent = significand(number)
    if digits > MAX_DIGITS:
        return f"has {digits} significant digits; at most {MAX_DIGITS} can be kept"
    if not MIN_EXPONENT <= exponent <= MAX_EXPONENT:
        return f"is outside the range 1E{MIN_EXPONENT} to 9.99E{MAX_EXPONENT}"
    return None


def significand(number: float | Decimal) -> tuple[int, int]:
    """(significant digits, exponent of the first) of a number; a Decimal infinity counts as beyond every range."""
    exact = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    if not exact.is_finite():
        return 1, MAX_EXPONENT + 1
    digits = "".join(map(str, exact.as_tuple().digits)).strip("0")
    return (len(digits), exact.adjusted()) if digits else (1, 0)


def _number_size(number: float | Decimal) -> int:
    digits, _ = significand(number)
    return (digits + 1) // 2 + 1 + (number < 0)


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
