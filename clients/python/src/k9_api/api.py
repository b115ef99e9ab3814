"""The API as plans see it: a call becomes a request with its headers, is sent until it is answered, and is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import BinaryIO, Final, Protocol
from urllib.parse import quote, urlencode

from .attempts import attempt
from .decoding import M, decode
from .effects import Form, HttpRequest, HttpResponse, Plan, authorize, download, exchange
from .errors import K9Error, NotFound, NotSendable, TransportError
from .json_text import ParseFloat, dumps, loads
from .operations import Operation
from .problems import problem_of
from .retries import Repeat, RetryPolicy, is_certain
from .runtime import Runtime
from .version import VERSION

_KEY = re.compile(r"[\x21-\x7e]{1,255}")
USER_AGENT = f"k9-api-client/{VERSION}"


class Unset(Enum):
    """The type of UNSET, which a member has that is not sent; None is sent as null, and clears it."""

    UNSET = "UNSET"


UNSET: Final = Unset.UNSET


class Versioned(Protocol):
    """A model that the API gave, at its version."""

    @property
    def version(self) -> int: ...


IfMatch = int | Versioned | None
"""The version that a write may change: a number, or a model as it was read; None for any."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation. Members that are UNSET, and a query's that are None, are not sent."""

    operation: Operation
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, object] = field(default_factory=dict)
    body: Mapping[str, object] | bytes | None = None
    if_match: IfMatch = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Api:
    """`base_url` without a slash at its end."""

    base_url: str
    policy: RetryPolicy
    parse_float: ParseFloat
    runtime: Runtime

    def fetch(self, model: type[M], call: Call) -> Plan[M]:
        """The call's answer as a model. Raises ProblemError, TransportError, TokenError or UnexpectedAnswer."""
        response = yield from self.send(call)
        return self.read(model, response)

    def read(self, model: type[M], response: HttpResponse) -> M:
        return decode(model, loads(response.content, self.parse_float), response.headers)

    def send(self, call: Call) -> Plan[HttpResponse]:
        """The call's answer, which is a success; sent again as the policy says, under one key. Raises as `fetch`."""
        key, request = self._request(call)

        def once(within: float) -> Plan[HttpResponse]:
            return self._send(request, within, is_open=call.operation.is_open)

        return attempt(once, call.operation.repeat, self.policy, self.runtime, key)

    def remove(self, call: Call) -> Plan[None]:
        """Deletes one row. A repeat that finds none, after a try whose outcome is unknown, is a success."""
        key, request = self._request(call)
        is_known = True

        def once(within: float) -> Plan[None]:
            nonlocal is_known
            try:
                yield from self._send(request, within, is_open=False)
            except NotFound:
                if is_known:
                    raise
            except K9Error as error:
                is_known = is_known and is_certain(error)
                raise

        return attempt(once, call.operation.repeat, self.policy, self.runtime, key)

    def download(self, url: str, file: BinaryIO) -> Plan[HttpResponse]:
        """What is at a presigned address, into the file; a try that breaks off leaves nothing of itself in it."""

        def once(within: float) -> Plan[HttpResponse]:
            file.seek(0)
            file.truncate()
            return _succeeded((yield from download(HttpRequest("GET", url), within, file)))

        return attempt(once, Repeat.SAFE, self.policy, self.runtime)

    def upload(self, url: str, form: Form) -> Plan[HttpResponse]:
        """A presigned POST. It puts the same bytes in the same place, however often it is sent."""

        def once(within: float) -> Plan[HttpResponse]:
            return _succeeded((yield from exchange(HttpRequest("POST", url, form=form), within)))

        return attempt(once, Repeat.SAFE, self.policy, self.runtime)

    def _request(self, call: Call) -> tuple[str | None, HttpRequest]:
        headers = {"Accept": "*/*", "User-Agent": USER_AGENT}
        if call.if_match is not None:
            headers["If-Match"] = f'"{_version(call.if_match)}"'
        key = None
        if call.operation.repeat is Repeat.KEYED:
            key = headers["Idempotency-Key"] = _usable(call.idempotency_key) or self.runtime.new_key()
        content = call.body if call.body is None or isinstance(call.body, bytes) else dumps(set_members(call.body))
        if content is not None:
            headers["Content-Type"] = "application/json"
        return key, HttpRequest(call.operation.method, self._url(call), headers, content)

    def _url(self, call: Call) -> str:
        path = call.operation.path.format_map({name: _segment(name, value) for name, value in call.path.items()})
        query = urlencode({name: _text(value) for name, value in call.query.items() if value is not None})
        return f"{self.base_url}{path}{'?' if query else ''}{query}"

    def _send(self, request: HttpRequest, within: float, *, is_open: bool) -> Plan[HttpResponse]:
        """One try; after a 401 another, if there is another token: the API did nothing for the first."""
        if is_open:
            return _succeeded((yield from exchange(request, within)))
        token = yield from _token()
        response = yield from exchange(_with(request, token), within)
        if response.status == 401:
            renewed = yield from _token(token)
            if renewed != token:
                response = yield from exchange(_with(request, renewed), within)
        return _succeeded(response)


def set_members(body: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not UNSET}


def given(**members: object) -> dict[str, object]:
    """A body of those members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def _token(rejected: str | None = None) -> Plan[str]:
    """The token to send. Where its source does not answer, the API has not been asked: that is no unknown outcome."""
    try:
        return (yield from authorize(rejected))
    except TransportError as error:
        raise TransportError(str(error), is_unsent=True) from error


def _with(request: HttpRequest, token: str) -> HttpRequest:
    return replace(request, headers={**request.headers, "Authorization": f"Bearer {token}"})


def _succeeded(response: HttpResponse) -> HttpResponse:
    problem = problem_of(response)
    if problem is not None:
        raise problem
    return response


def _segment(name: str, value: str) -> str:
    """One segment of a path. Raises NotSendable for what would lead to another place (RFC 3986, section 5.2.4)."""
    if value in ("", ".", ".."):
        raise NotSendable(f"{name} cannot be {value!r}, which no path can hold")
    return quote(value, safe="")


def _usable(key: str | None) -> str | None:
    if key is not None and not _KEY.fullmatch(key):
        raise NotSendable("idempotency_key must be 1 to 255 printable ASCII characters without spaces")
    return key


def _version(if_match: int | Versioned) -> int:
    return if_match if isinstance(if_match, int) else if_match.version


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
