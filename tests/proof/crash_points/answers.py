"""What a client sees of an answer, as far as it has to be alike in every run."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from tests.support.api import Answer

from .canonical import canonical

_TOLD = ("ETag", "Location", "Content-Type", "Content-Disposition")
_JSON = ("application/json", "application/problem+json")
_NOT_ALIKE = "request_id"


@dataclass(frozen=True, slots=True)
class Seen:
    """An answer; `is_repeated` says that a death made the client ask more than once for it."""

    status: int
    text: str
    is_repeated: bool = False


def seen(answer: Answer, *, is_repeated: bool) -> Seen:
    headers = {name: answer.headers[name] for name in _TOLD if name in answer.headers}
    if answer.headers.get("Content-Type") in _JSON:
        body = _comparable(answer.json())
    else:
        body = hashlib.sha256(answer.content).hexdigest()
    (text,) = canonical([json.dumps([headers, body], sort_keys=True)])
    return Seen(answer.status, text, is_repeated)


def _comparable(value: Any) -> Any:
    """JSON without what is signed, or names the request: an address without its query, a form's names alone."""
    if isinstance(value, dict):
        return {name: _member(name, member) for name, member in value.items() if name != _NOT_ALIKE}
    if isinstance(value, list):
        return [_comparable(member) for member in value]
    return value.partition("?")[0] if isinstance(value, str) and value.startswith("http") else value


def _member(name: str, value: Any) -> Any:
    return sorted(value) if name == "fields" and isinstance(value, dict) else _comparable(value)
