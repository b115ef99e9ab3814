"""The one `@endpoint` decorator: event -> Caller + typed arguments -> result -> response.

It is the only place that verifies tokens, renders errors, sets headers and logs, so that a handler is its rule alone.
"""

import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from .auth import Caller, authenticate
from .binding import Binder
from .config import ConfigurationError, RouteClass, get_settings, get_tenant_limits
from .errors import (
    PROBLEM_CONTENT_TYPE,
    ApiError,
    InternalError,
    LimitExceeded,
    TooManyRequests,
    Unauthenticated,
    Uncounted,
    render_problem,
)
from .events import Event, Request, event_path, gateway_request_id
from .models import json_text
from .scope import Growth, Scope, request_scope
from .telemetry import describe_causes, describe_failure, digest, log_request

if TYPE_CHECKING:
    from .limits.admission import Admission

Response = dict[str, Any]
EXPOSED_HEADERS = "Content-Disposition, ETag, Location, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id"
TERMS_HEADERS = ("If-Match", "Idempotency-Key")
"""What `Terms` are read from."""

Result = TypeVar("Result", bound=BaseModel)

ENDPOINTS: "dict[tuple[str, str], Endpoint]" = {}
"""Every route whose module has been imported, by method and path."""


@dataclass(slots=True)
class _Outcome:
    """What a request came to, before it is a response."""

    status: int
    body: str | bytes = ""
    headers: dict[str, str] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer(Generic[Result]):
    """A result whose status, or place, is not the route's usual one; `location` is percent-encoded as it is given."""

    result: Result
    status: int
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """A result that is no JSON of ours: bytes of a media type, or none of a 304; its headers replace the usual ones."""

    body: bytes = b""
    media_type: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Endpoint:
    """A Lambda handler made of a plain function; calling it takes API Gateway's event and gives its response."""

    def __init__(
        self,
        function: Callable[..., Any],
        method: str,
        path: str,
        *,
        status: int,
        location: str | None,
        is_open: bool,
        refusals: Collection[type[ApiError]],
        media_types: Collection[str],
        other_statuses: Collection[int],
        content_headers: Collection[str],
        honours: Collection[str],
        limited_as: RouteClass | Literal["none"] | None,
        grows: Callable[..., Growth] | None,
    ) -> None:
        self.function = function
        self.method, self.path, self.status, self.is_open = method, path, status, is_open
        self.refusals, self.media_types = tuple(refusals), tuple(media_types)
        self.other_statuses, self.content_headers = tuple(other_statuses), tuple(content_headers)
        self.route = f"{method} {path}"
        self.location = location
        self._binder = Binder(function, method, path)
        self.honours = tuple(honours) if "terms" in self.types else ()
        self.route_class = _route_class(method, limited_as, is_open=is_open)
        self.may_grow = grows is not None
        self._grows = grows
        self.__doc__ = function.__doc__

    @property
    def types(self) -> Mapping[str, Any]:
        """The handler's parameters and their types."""
        return self._binder.types

    @property
    def result_type(self) -> Any:
        """What the handler says that it returns."""
        return self._binder.result_type

    def __call__(self, event: Event, context: Any) -> Response:
        started = time.perf_counter()
        request_id = gateway_request_id(event) or getattr(context, "aws_request_id", None) or str(uuid.uuid4())
        with request_scope() as scope:
            outcome, caller = self._answer(event, request_id)
            response = _render(outcome, event, request_id)
            self._log(outcome, caller, request_id, scope, started)
        return response

    def _answer(self, event: Event, request_id: str) -> tuple[_Outcome, Caller | None]:
        """The outcome, whatever happens: this is the one place where an unexpected exception ends."""
        caller, admission = None, None
        try:
            request = Request.of(event, request_id)
            caller = None if self.is_open else authenticate(request.headers.get("authorization", []))
            arguments = self._binder.arguments(request, caller)
            admission = self._admit(caller, arguments)
            outcome = self._succeeded(self.function(**arguments))
        except ApiError as error:
            outcome = _failed(error, event, request_id)
        except Exception as error:  # noqa: BLE001 - rendered as a 500 and logged; nothing is swallowed
            outcome = _failed(InternalError(), event, request_id)
            outcome.details |= _cause(error)
        if admission is not None:
            admission.settle()
            outcome.headers = {**admission.headers, **outcome.headers}
            outcome.details |= admission.details
        return outcome, caller

    def _admit(self, caller: Caller | None, arguments: Mapping[str, Any]) -> "Admission | None":
        """Count the request where its tenant is limited. Raises LimitExceeded, or Unavailable (see `limits`)."""
        limits = get_tenant_limits()
        if limits is None or caller is None or self.route_class is None:
            return None
        from .limits.admission import admit  # only those whose tenants are limited pay for it

        growth = self._grows(**arguments) if self._grows is not None and limits.has_storage else Growth()
        return admit(limits, caller.user_id, self.route_class, growth)

    def _succeeded(self, result: BaseModel | Answer[Any] | Content | None) -> _Outcome:
        if result is None:
            return _Outcome(204)
        if isinstance(result, Content):
            kind = {} if result.media_type is None else {"Content-Type": result.media_type}
            return _Outcome(result.status, result.body, {**kind, **result.headers})
        answer = result if isinstance(result, Answer) else Answer(result, self.status, self._place(result))
        headers = {"Content-Type": "application/json"}
        version = getattr(answer.result, "version", None)
        if isinstance(version, int):
            headers["ETag"] = f'"{version}"'
        if answer.location:
            headers["Location"] = answer.location
        # A warning about a row of another origin would print its values to the log.
        return _Outcome(answer.status, json_text.dumps(answer.result.model_dump(warnings=False)), headers)

    def _place(self, result: BaseModel) -> str | None:
        return self.location.format_map(vars(result)) if self.location else None

    def _log(self, outcome: _Outcome, caller: Caller | None, request_id: str, scope: Scope, started: float) -> None:
        log_request(
            route=self.route,
            status=outcome.status,
            milliseconds=(time.perf_counter() - started) * 1000,
            request_id=request_id,
            caller=digest(caller.user_id) if caller else None,
            scope=scope,
            details=outcome.details,
        )


def endpoint(
    method: str,
    path: str,
    *,
    status: int = 200,
    location: str | None = None,
    is_open: bool = False,
    refusals: Collection[type[ApiError]] = (),
    media_types: Collection[str] = (),
    other_statuses: Collection[int] = (),
    content_headers: Collection[str] = (),
    honours: Collection[str] = TERMS_HEADERS,
    limited_as: RouteClass | Literal["none"] | None = None,
    grows: Callable[..., Growth] | None = None,
) -> Callable[[Callable[..., Any]], Endpoint]:
    """Make a function the handler of a route.

    Its parameters are read as `binding` says; it returns a response model, an Answer, Content, or None for 204. A model
    with a `version` gives the ETag; `location` is a template of the Location header, filled from the model. An
    `is_open` route takes no token. `limited_as` is the class that a tenant's requests count in: where nothing is said,
    "reads" of a GET and else "writes". `grows` takes the same arguments, and gives the most that the request may store
    more. The rest is for whoever reads the routes: `refusals` are the errors that the signature does not imply,
    `media_types` those of its Content, `content_headers` what that has besides or in place of the usual ones,
    `other_statuses` what an Answer or Content may have instead of `status`, `honours` the headers of its Terms that it
    goes by. Raises TypeError for a signature that the route cannot fill, ValueError for a route that exists.
    """

    def decorate(function: Callable[..., Any]) -> Endpoint:
        if (method, path) in ENDPOINTS and ENDPOINTS[method, path].function.__module__ != function.__module__:
            raise ValueError(f"{method} {path} already has a handler")
        ENDPOINTS[method, path] = Endpoint(
            function,
            method,
            path,
            status=status,
            location=location,
            is_open=is_open,
            refusals=refusals,
            media_types=media_types,
            other_statuses=other_statuses,
            content_headers=content_headers,
            honours=honours,
            limited_as=limited_as,
            grows=grows,
        )
        return ENDPOINTS[method, path]

    return decorate


def _route_class(method: str, limited_as: RouteClass | Literal["none"] | None, *, is_open: bool) -> RouteClass | None:
    if is_open or limited_as == "none":
        return None
    return limited_as or ("reads" if method == "GET" else "writes")


def _failed(error: ApiError, event: Event, request_id: str) -> _Outcome:
    problem = render_problem(error, instance=event_path(event), request_id=request_id)
    details: dict[str, Any] = {"problem": error.slug}
    if isinstance(error, Unauthenticated):
        details["reason"] = error.reason
    if isinstance(error, LimitExceeded):
        details["limits"] = list(error.violated)
    if isinstance(error, Uncounted):
        details["limits_unavailable"] = 1
    if error.__cause__ is not None and (error.status >= 500 or error.status == TooManyRequests.status):
        details |= describe_causes(error.__cause__)
    return _Outcome(
        error.status, json_text.dumps(problem), {"Content-Type": PROBLEM_CONTENT_TYPE, **error.headers}, details
    )


def _cause(error: Exception) -> dict[str, Any]:
    """A wrong configuration is told in words, which hold nothing of the request; anything else by type and place."""
    if isinstance(error, ConfigurationError):
        return {"configuration": str(error)}
    return describe_failure(error)


def _render(outcome: _Outcome, event: Event, request_id: str) -> Response:
    headers = {
        "X-Request-Id": request_id,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        **_cors_headers(event),
    }
    if "Vary" in headers and "Vary" in outcome.headers:
        outcome.headers["Vary"] = f"{headers['Vary']}, {outcome.headers['Vary']}"
    headers |= outcome.headers
    is_binary = isinstance(outcome.body, bytes)
    body = b64encode(outcome.body).decode("ascii") if isinstance(outcome.body, bytes) else outcome.body
    return {"statusCode": outcome.status, "headers": headers, "body": body, "isBase64Encoded": is_binary}


def _cors_headers(event: Event) -> dict[str, str]:
    """What a browser needs to show the answer to an allowed origin (Fetch standard, CORS protocol)."""
    allowed = get_settings().allowed_origins
    if not allowed:
        return {}
    origin = next((value for name, value in (event.get("headers") or {}).items() if name.lower() == "origin"), None)
    granted = {"Access-Control-Expose-Headers": EXPOSED_HEADERS}
    if "*" in allowed:
        return {"Access-Control-Allow-Origin": "*", **granted}
    if origin not in allowed:
        return {"Vary": "Origin"}
    return {"Access-Control-Allow-Origin": origin, "Vary": "Origin", **granted}
