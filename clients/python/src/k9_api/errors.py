"""What can go wrong: problems that the API answers with (RFC 9457), and everything that kept an answer from coming.

Every error is a K9Error. `idempotency_key` is the key of the request that failed, where it had one: whoever repeats the
call later passes it, and the API recognises what it has done already.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

PROBLEM_PREFIX = "urn:k9:problem:"


class K9Error(Exception):
    """The base of all errors of this package; `attempts` is how often the request was sent."""

    idempotency_key: str | None = None
    attempts: int = 0


class TransportError(K9Error):
    """No answer came: no connection, a timeout, or one that broke off. `__cause__` is httpx's own error.

    `is_unsent` where the request cannot have reached the API; else a write may or may not have been made.
    """

    def __init__(self, message: str, is_unsent: bool = False) -> None:
        super().__init__(message, is_unsent)
        self.is_unsent = is_unsent

    def __str__(self) -> str:
        return str(self.args[0])


class TokenError(K9Error):
    """There is no token to send: none was given, or its source has none, as after a sign-out."""


class UnexpectedAnswer(K9Error):
    """An answer that is not what the API promises: no JSON, a member missing, cursors that lead in a circle."""


class NotSendable(K9Error, ValueError):
    """A value that no request can carry, as NaN, or an item that is larger than a body may be; nothing was sent."""


class WaitTimeout(K9Error, TimeoutError):
    """What was waited for did not come about in time; it may yet."""


class TaskFailed(K9Error):
    """What was waited for will not come about: the task ended in a failure, or was never asked for."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault of a request. `pointer` is a JSON Pointer (RFC 6901) into {body, query, path, header}."""

    pointer: str
    message: str


class ProblemError(K9Error):
    """The API's answer is a problem. Its subclasses are the types there are; one of a newer API is a ProblemError."""

    slug: ClassVar[str] = ""
    """What the type of such a problem ends in."""

    def __init__(
        self,
        status: int,
        type: str,
        title: str,
        detail: str = "",
        errors: Sequence[FieldError] = (),
        request_id: str | None = None,
        retry_after: float | None = None,
        instance: str | None = None,
        violated_policies: Sequence[str] = (),
    ) -> None:
        super().__init__(
            status, type, title, detail, tuple(errors), request_id, retry_after, instance, tuple(violated_policies)
        )
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.request_id = request_id
        self.retry_after = retry_after
        self.instance = instance
        self.violated_policies = tuple(violated_policies)
        """The limits of the account that a TooManyRequests is beyond; empty where the service itself is throttled."""

    def __str__(self) -> str:
        faults = "".join(f" [{fault.pointer}: {fault.message}]" for fault in self.errors)
        request = f" (request {self.request_id})" if self.request_id else ""
        return f"{self.status} {self.title}: {self.detail or 'no detail was given'}{faults}{request}"


class MalformedRequest(ProblemError):
    """400: the request cannot be read, as a cursor that is not the API's."""

    slug = "malformed-request"


class Unauthenticated(ProblemError):
    """401: no token, or none that is valid: sign in again."""

    slug = "unauthenticated"


class Forbidden(ProblemError):
    """403: the token lacks a group that the route needs."""

    slug = "forbidden"


class NotFound(ProblemError):
    """404: missing, or another user's; the two are not told apart."""

    slug = "not-found"


class Conflict(ProblemError):
    """409: the request contradicts the state of the resource."""

    slug = "conflict"


class PreconditionFailed(ProblemError):
    """412: the version of `if_match` is no longer the current one: read again, decide again."""

    slug = "precondition-failed"


class PayloadTooLarge(ProblemError):
    """413: the body, or the item it would make, is larger than can be kept."""

    slug = "payload-too-large"


class UnsupportedMediaType(ProblemError):
    """415: the content is of a type that the route does not take."""

    slug = "unsupported-media-type"


class InvalidRequest(ProblemError):
    """422: understood, but a value is not acceptable; `errors` names each."""

    slug = "invalid-request"


class TooManyRequests(ProblemError):
    """429: throttled; nothing was done."""

    slug = "too-many-requests"


class InternalError(ProblemError):
    """500: a defect on the API's side: report the `request_id`."""

    slug = "internal-error"


class Unavailable(ProblemError):
    """503: something that the API needs does not answer; nothing was changed."""

    slug = "unavailable"


class OutcomeUnknown(ProblemError):
    """503: a write may or may not have been made: repeat it with the same `idempotency_key`, or read first."""

    slug = "outcome-unknown"


class GatewayError(ProblemError):
    """A 5xx in words other than the API's, from what stands before it: a write may or may not have been made."""


PROBLEMS: dict[str, type[ProblemError]] = {
    problem.slug: problem
    for problem in (
        MalformedRequest,
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        PreconditionFailed,
        PayloadTooLarge,
        UnsupportedMediaType,
        InvalidRequest,
        TooManyRequests,
        InternalError,
        Unavailable,
        OutcomeUnknown,
    )
}
"""The exception of each problem type, by what the type ends in."""
