"""A stage of the API over HTTP: one call at a time, with patience for cold starts and throttling."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import SplitResult, urlsplit

_ATTEMPTS = 3
_TIMEOUT_SECONDS = 35
_LONGEST_PAUSE = 5.0
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_NOW_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

OWN_TOKEN: Final = ""
"""As the token of a call: the stage's own."""


class StageError(Exception):
    """It does not answer, or not as it should. The message never has the token."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Message
    content: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; {} where there is none. Raises StageError for what is not JSON."""
        try:
            return json.loads(self.content) if self.content else {}
        except ValueError as exc:
            raise StageError(f"{self.status} with a body that is not JSON") from exc

    def expect(self, *statuses: int) -> Self:
        if self.status not in statuses:
            wanted = " or ".join(map(str, statuses))
            raise StageError(f"expected {wanted}, got {self.status}{self._reason()}")
        return self

    def _reason(self) -> str:
        """What a problem document or the gateway says, and the id to look for in the log."""
        try:
            problem = self.json
        except StageError:
            return ""
        if not isinstance(problem, dict):
            return ""
        said = problem.get("detail") or problem.get("title") or problem.get("message")
        request = self.headers.get("X-Request-Id") or self.headers.get("Apigw-Requestid")
        return "".join([f": {said}" if said else "", f" (request {request})" if request else ""])


@dataclass(frozen=True, slots=True)
class Stage:
    """`url` without a slash at its end."""

    url: str
    token: str = field(repr=False)

    def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        token: str | None = OWN_TOKEN,
        **headers: str,
    ) -> Answer:
        """The answer, whatever its status. `token` None sends none. Repeats what was throttled or not answered.

        So a POST or PATCH has to carry an Idempotency_Key. Raises StageError where no answer comes.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent["Authorization"] = f"Bearer {token or self.token}"
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._send(method, path, content, sent)
            except (OSError, http.client.HTTPException) as exc:
                if attempt == _ATTEMPTS:
                    raise StageError(f"{self.url} does not answer: {type(exc).__name__}: {exc}") from exc
                time.sleep(attempt)
                continue
            if answer.status not in _NOW_BUSY or attempt == _ATTEMPTS:
                return answer
            time.sleep(_pause(answer))
        raise AssertionError("the last attempt returns or raises")

    def _send(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> Answer:
        """A redirect is an answer like any other: it is not followed, and the token goes nowhere else."""
        address = urlsplit(self.url)
        connection = _connection(address)
        try:
            connection.request(method, address.path + path, body=content, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()


def read_stage(url: str, token: str) -> Stage:
    """Raises StageError for what cannot be an address, or a token, or would send the token unencrypted."""
    address = _split(url)
    if address is None or address.query or address.fragment:
        raise StageError(
            f"{url!r} is not an address; one looks like https://abc123.execute-api.us-east-1.amazonaws.com"
        )
    if address.scheme == "http" and address.hostname not in _THIS_MACHINE:
        raise StageError("the token would travel unencrypted: use https:// (http:// is for localhost)")
    bare = token.strip().removeprefix("Bearer ").strip()
    if not (bare.isascii() and bare.count(".") == 2 and all(bare.split(".")) and bare.isprintable()):
        raise StageError("TOKEN is not a token: one has three parts with dots between. (The value is not shown.)")
    return Stage(address.geturl().rstrip("/"), bare)


def _split(url: str) -> SplitResult | None:
    try:
        address = urlsplit(url.strip())
        is_whole = address.scheme in ("http", "https") and address.hostname and address.port != 0
    except ValueError:  # brackets that do not match, or a port that is no number
        return None
    return address if is_whole else None


def _connection(address: SplitResult) -> http.client.HTTPConnection:
    host = address.hostname or ""
    if address.scheme == "https":
        return http.client.HTTPSConnection(host, address.port, timeout=_TIMEOUT_SECONDS)
    return http.client.HTTPConnection(host, address.port, timeout=_TIMEOUT_SECONDS)


def _pause(answer: Answer) -> float:
    stated = answer.headers.get("Retry-After", "")
    return min(float(stated), _LONGEST_PAUSE) if stated.isdigit() else 1.0
