"""The API behind the sockets: one HTTP request in, one HTTP answer out, through the handler that Lambda would run."""

import base64
import importlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from scripts.local import cors
from scripts.local.context import LambdaContext
from scripts.local.events import HttpRequest, build_event
from scripts.local.routing import Match, Router
from scripts.local.sign_in import SignIn
from scripts.local.template import Cors, Route
from shared.errors import PROBLEM_CONTENT_TYPE, ApiError, InternalError, NotFound, render_problem

Handler = Callable[[dict[str, Any], LambdaContext], Any]

_LOG = logging.getLogger("k9.local")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


class Api:
    """The template's routes, served in-process. Calls may come from many threads at once."""

    def __init__(self, routes: Sequence[Route], cors_rules: Cors, sign_in: SignIn | None = None) -> None:
        self._router = Router(routes)
        self._cors = cors_rules
        self._sign_in = sign_in
        # Imported before the first request: a broken handler stops the start, and no two threads import at once.
        self._handlers = {route.handler: load_handler(route.handler) for route in routes}

    def answer(self, request: HttpRequest) -> HttpAnswer:
        if cors.is_preflight(request):
            return HttpAnswer(204, list(cors.preflight_headers(self._cors, request).items()), b"")
        if self._sign_in and self._sign_in.is_meant(request):
            return self._answer_sign_in(self._sign_in, request)
        match = self._router.match(request.method, request.raw_path)
        answer = self._invoke(request, match) if match else self.problem(request, _no_route(request))
        return self._with_cors(request, answer)

    def _answer_sign_in(self, sign_in: SignIn, request: HttpRequest) -> HttpAnswer:
        """Without CORS: what is in the answer is for this gateway's own page alone."""
        try:
            body = sign_in.answer(request)
        except ApiError as error:
            return self.problem(request, error)
        headers = {"content-type": "application/json", "cache-control": "no-store", "x-request-id": request.request_id}
        return HttpAnswer(200, list(headers.items()), body)

    def problem(self, request: HttpRequest, error: ApiError) -> HttpAnswer:
        """An answer of the gateway itself, in the API's one shape of errors."""
        document = render_problem(error, instance=request.path, request_id=request.request_id)
        headers = {
            "content-type": PROBLEM_CONTENT_TYPE,
            "cache-control": "no-store",
            "x-request-id": request.request_id,
            **error.headers,
        }
        return HttpAnswer(error.status, list(headers.items()), json.dumps(document).encode())

    def _invoke(self, request: HttpRequest, match: Match) -> HttpAnswer:
        context = LambdaContext(match.route.function, request.request_id, match.route.timeout)
        try:
            result = self._handlers[match.route.handler](build_event(request, match), context)
            return read_response(result)
        except Exception:  # noqa: BLE001 - Lambda's rule: whatever a handler raises is logged and answered as a 500
            _LOG.exception("%s failed", match.route.key)
            return self.problem(request, InternalError())

    def _with_cors(self, request: HttpRequest, answer: HttpAnswer) -> HttpAnswer:
        kept = [item for item in answer.headers if not item[0].lower().startswith("access-control-")]
        return HttpAnswer(answer.status, [*kept, *cors.answer_headers(self._cors, request).items()], answer.body)


def load_handler(handler: str) -> Handler:
    """The function that a template's `Handler` names."""
    module, _, name = handler.rpartition(".")
    found: Handler = getattr(importlib.import_module(module), name)
    return found


def read_response(response: dict[str, Any]) -> HttpAnswer:
    """A handler's return value as HTTP. Raises TypeError, KeyError or ValueError where it is not a response."""
    status = HTTPStatus(int(response["statusCode"])).value
    headers = [(name.lower(), str(value)) for name, value in (response.get("headers") or {}).items()]
    headers += [("set-cookie", cookie) for cookie in response.get("cookies") or []]
    body = response.get("body") or ""
    if response.get("isBase64Encoded"):
        return HttpAnswer(status, headers, base64.b64decode(body, validate=True))
    return HttpAnswer(status, headers, body.encode("utf-8"))


def _no_route(request: HttpRequest) -> NotFound:
    return NotFound(f"There is no route {request.method} {request.path}.")
