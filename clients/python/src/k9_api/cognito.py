"""Tokens of an Amazon Cognito user pool, renewed with a refresh token over plain HTTP, without AWS's SDK."""

import asyncio
import binascii
import copy
import threading
import weakref
from base64 import urlsafe_b64decode
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx

from .attempts import attempt
from .drivers import Driver
from .effects import HttpRequest, HttpResponse, Plan, exchange
from .errors import K9Error, TokenError, TooManyRequests, Unavailable
from .json_text import dumps, object_in
from .retries import Repeat, RetryPolicy
from .runtime import Runtime

_TARGET = "AWSCognitoIdentityProviderService.InitiateAuth"
_THROTTLED = ("TooManyRequestsException", "LimitExceededException")
_TIMEOUT_SECONDS = 10.0
_NAMES = {"id": "IdToken", "access": "AccessToken"}


@dataclass(frozen=True, slots=True)
class _Held:
    token: str = field(repr=False)
    expires_at: float


class CognitoTokens:
    """The tokens of one user, renewed by `InitiateAuth` with REFRESH_TOKEN_AUTH (Amazon Cognito API Reference).

    A token is renewed `ahead` seconds before its `exp`, and once the API refuses it. Threads and tasks that need one at
    the same time wait for one renewal, and fail with it where it fails. It serves Client and AsyncClient, several of
    them as well. The app client is one without a secret, and without rotation of refresh tokens, which rules this flow
    out.
    """

    def __init__(
        self,
        *,
        region: str,
        client_id: str,
        refresh_token: str,
        token: str | None = None,
        use: Literal["id", "access"] = "id",
        endpoint: str | None = None,
        ahead: float = 60.0,
        retries: RetryPolicy | None = None,
        transport: httpx.BaseTransport | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        """`token` is one that is there already, `use` the kind that the API takes, `endpoint` Cognito's address."""
        self._client_id, self._refresh_token, self._use = client_id, refresh_token, use
        self._url = endpoint or f"https://cognito-idp.{region}.amazonaws.com/"
        self._ahead, self._runtime = ahead, runtime or Runtime()
        self._policy = retries or RetryPolicy(attempts=3, deadline=20.0)
        self._http = httpx.Client(transport=transport, timeout=_TIMEOUT_SECONDS)
        self._driver = Driver(self._http, None, self._runtime)
        self._held = None if token is None else _Held(token, _expiry(token, self._runtime.now()))
        self._failures, self._failure = 0, K9Error()
        self._renewing = threading.Lock()
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()

    def token(self, rejected: str | None = None) -> str:
        """A token that holds for a while yet, and is not `rejected`.

        Raises TokenError where Cognito refuses the refresh token, and TransportError or another K9Error where Cognito
        does not answer.
        """
        return self._token(rejected, self._failures)

    async def token_async(self, rejected: str | None = None) -> str:
        """As `token`, without keeping asyncio's loop: one thread renews, whatever the number of tasks that wait."""
        held, failures = self._usable(rejected), self._failures
        if held is not None:
            return held.token
        async with self._loops.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            return await asyncio.to_thread(self._token, rejected, failures)

    def close(self) -> None:
        """Closes the connection to Cognito."""
        self._http.close()

    def _token(self, rejected: str | None, failures: int) -> str:
        held = self._usable(rejected)
        if held is None:
            with self._renewing:
                held = self._usable(rejected) or self._renewed(failures)  # another's renewal may have been waited for
        return held.token

    def _renewed(self, failures: int) -> _Held:
        """`failures` is how many there had been when the caller began to wait: if there are more now, this is its own.

        Else every one of those who wait would ask Cognito in turn, each for as long as the policy allows.
        """
        if self._failures != failures:
            raise copy.copy(self._failure) from self._failure
        try:
            self._held = self._driver.run(self._renew())
        except K9Error as error:
            self._failures, self._failure = self._failures + 1, error
            raise
        return self._held

    def _usable(self, rejected: str | None) -> _Held | None:
        held = self._held
        if held is None or held.token == rejected or held.expires_at - self._ahead <= self._runtime.now():
            return None
        return held

    def _renew(self) -> Plan[_Held]:
        return attempt(self._ask, Repeat.SAFE, self._policy, self._runtime)

    def _ask(self, within: float) -> Plan[_Held]:
        parameters = {"REFRESH_TOKEN": self._refresh_token}
        content = dumps({"AuthFlow": "REFRESH_TOKEN_AUTH", "ClientId": self._client_id, "AuthParameters": parameters})
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": _TARGET}
        asked_at = self._runtime.now()
        response = yield from exchange(HttpRequest("POST", self._url, headers, content), within)
        result = _result(response)
        token = result.get(_NAMES[self._use])
        if not isinstance(token, str):
            raise TokenError(f"Cognito's answer has no {_NAMES[self._use]}.")
        lifetime = result.get("ExpiresIn")
        return _Held(token, _expiry(token, asked_at + (lifetime if isinstance(lifetime, int) else 0)))


def _result(response: HttpResponse) -> dict[str, Any]:
    """The tokens of an answer. Raises TokenError where asking again would not help."""
    document = object_in(response.content)
    if response.status == 200 and isinstance(document.get("AuthenticationResult"), dict):
        tokens: dict[str, Any] = document["AuthenticationResult"]
        return tokens
    kind = str(document.get("__type", "")).rpartition("#")[2]
    if kind in _THROTTLED or response.status == 429:
        raise TooManyRequests(response.status, "about:blank", "Cognito throttles", kind)
    if response.status >= 500:
        raise Unavailable(response.status, "about:blank", "Cognito failed", kind)
    said = document.get("message") or document.get("Message") or f"status {response.status}"
    raise TokenError(f"Cognito gives no token: {kind or 'no reason'}: {said}. Sign in again for a new refresh token.")


def _expiry(token: str, otherwise: float) -> float:
    """The `exp` of a token, whose signature is the API's to check; `otherwise` where it does not show one."""
    payload = token.split(".")[1] if token.count(".") == 2 else ""
    try:
        claims = object_in(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except binascii.Error:
        return otherwise
    stated = claims.get("exp")
    return float(stated) if isinstance(stated, int | float) else otherwise
