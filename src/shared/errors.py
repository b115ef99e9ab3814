"""Errors that carry their HTTP status, and the one place that renders them (RFC 9457, problem+json)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

PROBLEM_CONTENT_TYPE = "application/problem+json"
_TYPE_PREFIX = "urn:k9:problem:"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of the input. `pointer` is a JSON Pointer (RFC 6901) into {body, query, path, header}."""

    pointer: str
    message: str


class ApiError(Exception):
    """A refusal or failure that the caller is told about; `detail` is written for them and holds nothing internal."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}


class MalformedRequest(ApiError):
    """400: the request cannot be read at all."""

    status = 400
    slug = "malformed-request"
    title = "Malformed request"


class Unauthenticated(ApiError):
    """401: every token failure gives the same answer (RFC 6750, section 3.1); `reason` goes to the log alone."""

    status = 401
    slug = "unauthenticated"
    title = "Unauthenticated"

    def __init__(self, reason: str) -> None:
        super().__init__("A valid bearer token is required.")
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer error="invalid_token"'}


class Forbidden(ApiError):
    """403: a valid token without the group or scope that the route needs."""

    status = 403
    slug = "forbidden"
    title = "Forbidden"


class NotFound(ApiError):
    """404: missing, or another user's; the answer never tells which."""

    status = 404
    slug = "not-found"
    title = "Not found"


class Conflict(ApiError):
    """409: the request contradicts the state of the resource."""

    status = 409
    slug = "conflict"
    title = "Conflict"


class PreconditionFailed(ApiError):
    """412: the `If-Match` version is no longer the current one."""

    status = 412
    slug = "precondition-failed"
    title = "Precondition failed"


class PayloadTooLarge(ApiError):
    """413: the body, or the item it would make, is larger than can be kept."""

    status = 413
    slug = "payload-too-large"
    title = "Payload too large"


class UnsupportedMediaType(ApiError):
    """415: the Content-Type cannot be JSON."""

    status = 415
    slug = "unsupported-media-type"
    title = "Unsupported media type"


class InvalidRequest(ApiError):
    """422: understood, but a value is not acceptable; `errors` names each."""

    status = 422
    slug = "invalid-request"
    title = "Invalid request"


class TooManyRequests(ApiError):
    """429: throttled; nothing was done."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"

    def __init__(self, detail: str = "Too many requests; nothing was changed. Try again later.") -> None:
        super().__init__(detail, retry_after=1)


class LimitExceeded(TooManyRequests):
    """429: a limit of the tenant's own; `violated` names the policies, `fields` are the header fields that tell of it.

    The extension member is that of draft-ietf-httpapi-ratelimit-headers-10, section 3.1.
    """

    def __init__(self, detail: str, *, violated: Sequence[str], retry_after: int, fields: Mapping[str, str]) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.violated = tuple(violated)
        self._fields = dict(fields)

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, **self._fields}


class Unavailable(ApiError):
    """503: something this service needs does not answer; nothing was done."""

    status = 503
    slug = "unavailable"
    title = "Service unavailable"

    def __init__(self, detail: str, *, errors: Sequence[FieldError] = (), retry_after: int = 1) -> None:
        super().__init__(detail, errors=errors, retry_after=retry_after)


class Uncounted(Unavailable):
    """503: what a tenant stores is limited, and cannot be counted."""

    def __init__(self) -> None:
        super().__init__(
            "What the account stores cannot be counted now, as it is limited. Nothing was changed; try again later."
        )


class OutcomeUnknown(Unavailable):
    """503: a write may or may not have happened, or has in part, and the service will not guess."""

    slug = "outcome-unknown"
    title = "Outcome unknown"

    def __init__(
        self,
        detail: str = "The change may or may not have been made. Repeat the request with the same Idempotency-Key if it"
        " had one; otherwise read the resource before you try again.",
    ) -> None:
        super().__init__(detail)


class InternalError(ApiError):
    """500: a defect or an unexpected refusal; the log has the cause, the answer has none of it."""

    def __init__(self) -> None:
        super().__init__("The request failed for a reason on our side. Quote the request_id when you report it.")


def render_problem(error: ApiError, *, instance: str, request_id: str) -> dict[str, Any]:
    """The problem document of `error` (RFC 9457, section 3.1); `errors` and `violated-policies` are extensions."""
    problem: dict[str, Any] = {
        "type": _TYPE_PREFIX + error.slug,
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "request_id": request_id,
    }
    if isinstance(error, LimitExceeded):
        problem["violated-policies"] = list(error.violated)
    if error.errors:
        problem["errors"] = [{"pointer": item.pointer, "message": item.message} for item in error.errors]
    return problem
