"""An answer that is no success, as the exception that stands for it."""

from collections.abc import Iterable
from typing import Any

from .effects import HttpResponse
from .errors import (
    PROBLEM_PREFIX,
    PROBLEMS,
    FieldError,
    Forbidden,
    GatewayError,
    NotFound,
    PayloadTooLarge,
    ProblemError,
    TooManyRequests,
    Unauthenticated,
)
from .json_text import object_in
from .retries import read_retry_after

_BY_STATUS: dict[int, type[ProblemError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    413: PayloadTooLarge,
    429: TooManyRequests,
}
"""What API Gateway answers by itself, in a body of its own; it did not ask the API."""


def problem_of(response: HttpResponse) -> ProblemError | None:
    """The problem that the answer is; None for a success, and for a 304, which is one to whoever asked for it."""
    if response.status < 300 or response.status == 304:
        return None
    document = object_in(response.content)
    if "type" in document and "status" in document:
        return _told(response, document)
    return _of_gateway(response, document)


def item_problem(status: int, slug: str, detail: str | None, errors: Iterable[FieldError]) -> ProblemError:
    """The problem of one item of a batch, which would have been that of a request of its own."""
    kind = PROBLEMS.get(slug, ProblemError)
    return kind(status, PROBLEM_PREFIX + slug, slug.replace("-", " ").capitalize(), detail or "", tuple(errors))


def _told(response: HttpResponse, document: dict[str, Any]) -> ProblemError:
    name = str(document["type"])
    kind = PROBLEMS.get(name.removeprefix(PROBLEM_PREFIX), ProblemError)
    return kind(
        response.status,
        name,
        str(document.get("title", "")),
        str(document.get("detail", "")),
        _faults(document.get("errors")),
        _request_id(response, document),
        read_retry_after(response.headers),
        None if document.get("instance") is None else str(document["instance"]),
        _policies(document.get("violated-policies")),
    )


def _of_gateway(response: HttpResponse, document: dict[str, Any]) -> ProblemError:
    kind = GatewayError if response.status >= 500 else _BY_STATUS.get(response.status, ProblemError)
    said = document.get("message") or document.get("Message") or ""
    return kind(
        response.status,
        "about:blank",
        kind.__name__,
        str(said),
        (),
        _request_id(response, document),
        read_retry_after(response.headers),
    )


def _faults(listed: object) -> tuple[FieldError, ...]:
    if not isinstance(listed, list):
        return ()
    return tuple(
        FieldError(str(fault.get("pointer", "")), str(fault.get("message", "")))
        for fault in listed
        if isinstance(fault, dict)
    )


def _policies(listed: object) -> tuple[str, ...]:
    return tuple(map(str, listed)) if isinstance(listed, list) else ()


def _request_id(response: HttpResponse, document: dict[str, Any]) -> str | None:
    stated = document.get("request_id") or response.headers.get("X-Request-Id")
    return str(stated or response.headers.get("Apigw-Requestid") or "") or None
