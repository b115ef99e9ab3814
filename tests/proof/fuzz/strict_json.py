"""A second reading of what a strict JSON object is (RFC 8259, RFC 7493), and strict base64url (RFC 7515, section 2).

Written from the rules, not from the code that is fuzzed: its own look at depth, members and text.
"""

import base64
import json
import re
from typing import Any

MAX_DEPTH = 32
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*")


class _Twice(Exception):
    """An object names a member twice, or a number is none of JSON's."""


def base64url(encoded: bytes) -> bytes | None:
    """The octets of unpadded canonical base64url; None for any other text."""
    if not _BASE64URL.fullmatch(encoded) or len(encoded) % 4 == 1:
        return None
    octets = base64.urlsafe_b64decode(encoded + b"=" * (-len(encoded) % 4))
    return octets if base64.urlsafe_b64encode(octets).rstrip(b"=") == encoded else None


def strict_object(octets: bytes) -> dict[str, Any] | None:
    """The object of these octets; None for what is not one, or not a strict one."""
    try:
        text = octets.decode()
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_constant)
    except (ValueError, RecursionError, _Twice):
        return None
    if not isinstance(value, dict) or _depth(text) > MAX_DEPTH or not _is_text(value):
        return None
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise _Twice
    return dict(pairs)


def _constant(name: str) -> None:
    raise _Twice


def _depth(text: str) -> int:
    """The deepest nesting of a valid JSON text, character by character."""
    deepest = depth = 0
    is_quoted = is_escaped = False
    for character in text:
        if is_quoted:
            is_quoted = is_escaped or character != '"'
            is_escaped = character == "\\" and not is_escaped
        elif character == '"':
            is_quoted = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


def _is_text(value: object) -> bool:
    """Whether all texts in it are valid Unicode."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, dict):
        return all(_is_text(name) and _is_text(member) for name, member in value.items())
    return all(map(_is_text, value)) if isinstance(value, list) else True
