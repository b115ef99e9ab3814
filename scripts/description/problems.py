"""Which errors a route can answer, and how the document says so: one response for each, shared by all routes."""

from collections.abc import Iterable
from typing import Any

from scripts.description.components import problem_type
from scripts.description.headers import answer_headers
from scripts.description.schemas import schema_of_type
from shared.errors import (
    PROBLEM_CONTENT_TYPE,
    ApiError,
    Conflict,
    Forbidden,
    InternalError,
    InvalidRequest,
    MalformedRequest,
    NotFound,
    OutcomeUnknown,
    PayloadTooLarge,
    PreconditionFailed,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedMediaType,
)
from shared.http import Endpoint

Object = dict[str, Any]
Error = type[ApiError]

_OF_EVERY_ROUTE: tuple[Error, ...] = (
    MalformedRequest,  # a query of too many fields
    PayloadTooLarge,  # a body, wanted or not
    TooManyRequests,
    InternalError,
    Unavailable,
)
_TEXTS: dict[Error, str] = {
    MalformedRequest: "The request cannot be read: not JSON, a cursor that is not ours, an unreadable header.",
    Unauthenticated: "No bearer token, or none that is valid. The answer never tells why.",
    Forbidden: "The token lacks a group that this needs.",
    NotFound: "Missing, or another user's; the two are not told apart.",
    Conflict: "The request contradicts the state of the resource.",
    PreconditionFailed: "The version that If-Match names is no longer the current one. Read again, decide again.",
    PayloadTooLarge: "A body over 1 MB, or an item that would pass 400 KB.",
    UnsupportedMediaType: "The declared type cannot be JSON in UTF-8.",
    InvalidRequest: "Understood, but a value is not acceptable; `errors` names each.",
    TooManyRequests: (
        "Throttled, or beyond a limit of the caller's own, which `violated-policies` and `detail` name; nothing was"
        " changed. Wait Retry-After seconds."
    ),
    InternalError: "A defect on our side. Report the request_id.",
    Unavailable: "Something that this needs does not answer; nothing was changed. Wait Retry-After seconds.",
    OutcomeUnknown: (
        "Something that this needs does not answer. `unavailable`: nothing was changed. `outcome-unknown`: the write"
        " may or may not have been made; repeat it with the same Idempotency-Key, or read first."
    ),
}
_GATEWAYS_OWN = frozenset({Unauthenticated, TooManyRequests, InternalError, Unavailable, OutcomeUnknown})
"""What API Gateway may answer before a function is reached, in its own words."""


def errors_of(endpoint: Endpoint) -> list[Error]:
    """The errors that the route can answer, one for each status: what its signature implies, and its refusals."""
    found = set(_OF_EVERY_ROUTE) | set(_implied(endpoint)) | set(endpoint.refusals)
    if OutcomeUnknown in found:  # 503 as well, and its response tells of both
        found.discard(Unavailable)
    return sorted(found, key=lambda error: error.status)


def response_name(error: Error) -> str:
    return error.__name__


def response(error: Error) -> Object:
    """The response object of an error."""
    content: Object = {PROBLEM_CONTENT_TYPE: {"schema": _schema(error)}}
    is_gateways = error in _GATEWAYS_OWN
    if is_gateways:
        content["application/json"] = {"schema": {"$ref": "#/components/schemas/GatewayMessage"}}
    return {
        "description": _TEXTS.get(error, (error.__doc__ or "").partition(": ")[2]),
        "headers": answer_headers(error, is_certain=not is_gateways),
        "content": content,
    }


def _implied(endpoint: Endpoint) -> Iterable[Error]:
    types = endpoint.types
    if not endpoint.is_open:
        yield Unauthenticated
    if "body" in types:
        yield from (UnsupportedMediaType, InvalidRequest)
    if "query" in types:
        yield InvalidRequest
    if "{" in endpoint.path:
        yield NotFound
    if any(_is_checked(types[name]) for name in types if f"{{{name}}}" in endpoint.path):
        yield InvalidRequest
    if "terms" in types:
        yield OutcomeUnknown
    if "If-Match" in endpoint.honours:
        yield PreconditionFailed
    if "Idempotency-Key" in endpoint.honours:
        yield InvalidRequest


def _is_checked(kind: Any) -> bool:
    """Whether there are texts that a path parameter refuses."""
    return schema_of_type(kind) != {"type": "string"}


def _schema(error: Error) -> Object:
    kinds: list[Error] = [error] if error is not OutcomeUnknown else [Unavailable, OutcomeUnknown]
    members: Object = {
        "type": {"enum": [problem_type(kind) for kind in kinds]},
        "title": {"enum": [kind.title for kind in kinds]},
        "status": {"const": error.status},
    }
    return {"allOf": [{"$ref": "#/components/schemas/Problem"}, {"type": "object", "properties": members}]}
