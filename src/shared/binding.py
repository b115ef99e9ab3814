"""A handler's signature as its contract: what each parameter takes from the request, decided once, at import.

A parameter is, by name: `caller`, `body` (a request model), `query` (a model), `terms` (Idempotency-Key and If-Match),
`request` (all of it), or one of the route's path parameters.
"""

import hashlib
import inspect
import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from .auth import Caller
from .database.writes import Terms, WriteId
from .errors import FieldError, InvalidRequest, MalformedRequest, UnsupportedMediaType
from .events import Request
from .models import json_text

_MAX_REPORTED_ERRORS = 50
_NAMESPACE = uuid.UUID("6f1c2f0e-5f0b-4c55-9d39-0d5c3f5d7a11")
"""Namespace of the UUIDs that stand for idempotency keys (RFC 9562, section 5.5); it must never change."""

IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")
_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_TAG_LIST = re.compile(rf"\s*{_TAG}\s*(?:,\s*{_TAG}\s*)*")
MAX_TAGS = 100
"""Operands that DynamoDB's IN takes."""

_VERSION = re.compile(r'"[1-9][0-9]{0,15}"')
_JSON_TYPES = re.compile(r"application/([a-z0-9.+_-]+\+)?json|text/json|text/plain|application/x-www-form-urlencoded")

_NO_OBJECT = ("dict_type", "model_type")
"""pydantic's complaints that would speak of Python's types and our class names."""

Source = Callable[[Request, Caller | None], Any]


class Binder:
    """Calls a handler function with arguments taken from a request."""

    def __init__(self, function: Callable[..., Any], method: str, path: str) -> None:
        hints = get_type_hints(function, include_extras=True)
        self._route = f"{method} {path}"
        self._path_parameters = frozenset(re.findall(r"{(\w+)}", path))
        self.types = {name: hints.get(name) for name in inspect.signature(function).parameters}
        self.result_type = hints.get("return")
        self._sources = {name: self._source(name, kind) for name, kind in self.types.items()}
        missing = self._path_parameters - self.types.keys()
        if missing:
            raise TypeError(f"{self._route}: the handler takes no {', '.join(sorted(missing))}")

    def arguments(self, request: Request, caller: Caller | None) -> dict[str, Any]:
        """The handler's arguments. Raises MalformedRequest, UnsupportedMediaType, PayloadTooLarge or InvalidRequest."""
        return {name: source(request, caller) for name, source in self._sources.items()}

    def _source(self, name: str, kind: Any) -> Source:
        if kind is None:
            raise TypeError(f"{self._route}: the parameter {name!r} has no type")
        if name == "caller":
            return lambda request, caller: caller
        if name == "request":
            return lambda request, caller: request
        if name == "body":
            return lambda request, caller: _read_body(request, kind)
        if name == "query":
            return lambda request, caller: _read_query(request, kind)
        if name == "terms":
            return lambda request, caller: self._read_terms(request, caller)
        if name not in self._path_parameters:
            raise TypeError(f"{self._route}: nothing in a request is called {name!r}")
        adapter = TypeAdapter(kind, config=ConfigDict(defer_build=True))
        return lambda request, caller: _read_path(request, name, adapter)

    def _read_terms(self, request: Request, caller: Caller | None) -> Terms:
        key = request.header("idempotency-key")
        owner = caller.user_id if caller else ""
        write = WriteId() if key is None else _derived_write(key, owner, self._route, request)
        return Terms(write, _read_versions(request.header("if-match")))


def _read_body(request: Request, model: type[BaseModel]) -> BaseModel:
    _check_content_type(request.header("content-type"))
    if (request.header("content-encoding") or "identity").strip().lower() != "identity":
        raise UnsupportedMediaType("A compressed body cannot be read. Send it without Content-Encoding.")
    document = _parse(request.body())
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise invalid("body", error) from error


def _read_query(request: Request, model: type[BaseModel]) -> BaseModel:
    repeated = [name for name, values in request.query.items() if len(values) > 1]
    if repeated:
        raise InvalidRequest(
            "The query is invalid.", errors=[_fault("query", [name], "Given twice") for name in repeated]
        )
    try:
        return model.model_validate({name: values[0] for name, values in request.query.items()})
    except ValidationError as error:
        raise invalid("query", error) from error


def _read_path(request: Request, name: str, adapter: TypeAdapter[Any]) -> Any:
    try:
        return adapter.validate_python(request.path_parameters.get(name, ""))
    except ValidationError as error:
        raise invalid("path", error, name) from error


def _check_content_type(content_type: str | None) -> None:
    """JSON, and what clients declare for JSON without thinking (curl's form type); nothing that cannot be JSON."""
    media_type, _, parameters = (content_type or "application/json").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters, re.IGNORECASE)
    if charset and charset.group(1).lower() not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMediaType("JSON is exchanged in UTF-8. Declare no other charset.")
    if not _JSON_TYPES.fullmatch(media_type.strip().lower()):
        raise UnsupportedMediaType("The body must be JSON. Send it with Content-Type: application/json.")


def _parse(content: bytes) -> Any:
    if not content:
        raise MalformedRequest("The request needs a JSON body.")
    try:
        return json_text.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise MalformedRequest(f"The body is not valid JSON: {_syntax(error)}.") from error


def _syntax(error: Exception) -> str:
    """What is wrong with a JSON text, by position; the text itself is not repeated."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _derived_write(key: str, user_id: str, route: str, request: Request) -> WriteId:
    if not IDEMPOTENCY_KEY.fullmatch(key):
        raise MalformedRequest(
            "The Idempotency-Key cannot be used.",
            errors=[
                _fault("header", ["idempotency-key"], "must be 1 to 255 printable ASCII characters without spaces")
            ],
        )
    name = json.dumps([user_id, route, key])
    content = hashlib.sha256(request.path.encode("utf-8", "surrogatepass") + b"\n" + request.body()).hexdigest()
    return WriteId(str(uuid.uuid5(_NAMESPACE, name)), content[:32])


def _read_versions(if_match: str | None) -> Collection[int] | None:
    """The versions that an If-Match names (RFC 9110, section 13.1.1); None for no condition and for `*`.

    Comparison is strong: a weak tag, or one that this service never gave, matches nothing.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = re.findall(_TAG, if_match) if _TAG_LIST.fullmatch(if_match) else []
    if not 0 < len(tags) <= MAX_TAGS:
        reason = f'must be * or up to {MAX_TAGS} entity tags in double quotes, such as "3"'
        raise MalformedRequest("The If-Match header cannot be read.", errors=[_fault("header", ["if-match"], reason)])
    return frozenset(int(tag.strip('"')) for tag in tags if _VERSION.fullmatch(tag))


def invalid(part: str, error: ValidationError, *prefix: str) -> InvalidRequest:
    """A model's complaints about a part of the request (body, query, path), below `prefix` in it, as one error."""
    faults = error.errors(include_url=False, include_input=False)[:_MAX_REPORTED_ERRORS]
    return InvalidRequest(f"The {part} is invalid.", errors=[_field_error(part, fault, prefix) for fault in faults])


def _field_error(part: str, fault: Mapping[str, Any], prefix: Iterable[str]) -> FieldError:
    """A model's complaint as ours; a JSON document's own validator adds a pointer into the document."""
    inner = fault.get("ctx", {}).get("pointer", "")
    message = "must be a JSON object" if fault["type"] in _NO_OBJECT else fault["msg"].removeprefix("Value error, ")
    outer = _fault(part, [*prefix, *fault["loc"]], message)
    return FieldError(outer.pointer + inner, outer.message)


def _fault(part: str, location: Iterable[object], message: str) -> FieldError:
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in location)
    return FieldError("/".join(["", part, *steps]), message)
