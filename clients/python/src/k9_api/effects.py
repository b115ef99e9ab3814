"""What a plan asks of the world. Plans hold all that the client knows and do no I/O: they yield effects, and a driver,
of which there is one for threads and one for asyncio, performs each and sends back what came of it.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Form:
    """A form with one file, as a presigned POST takes it: the file goes last (RFC 7578)."""

    fields: Mapping[str, str]
    file_name: str
    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    content: bytes | None = field(default=None, repr=False)
    form: Form | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """`headers` are found whatever the case of their names; a download's `content` is in its file."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Send the request; the driver answers with an HttpResponse, or raises TransportError in the plan.

    `within` bounds the wait for each step, as to connect or for the next bytes, in seconds.
    """

    request: HttpRequest
    within: float


@dataclass(frozen=True, slots=True)
class Download:
    """Send the request and write the content of a 200 to the file as it comes; else as Exchange."""

    request: HttpRequest
    within: float
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Authorize:
    """The token to send; `rejected` is one that the API has just refused."""

    rejected: str | None = field(default=None, repr=False)


Effect = Exchange | Download | Sleep | Authorize
Plan = Generator[Effect, Any, T]
"""Ends in a T. What is sent back is typed by the functions below alone."""


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """What a flow hands to whoever iterates over it."""

    value: T


Flow = Generator[Effect | Item[T], Any, None]
"""A plan that yields items on its way."""


def exchange(request: HttpRequest, within: float) -> Plan[HttpResponse]:
    response: HttpResponse = yield Exchange(request, within)
    return response


def download(request: HttpRequest, within: float, file: BinaryIO) -> Plan[HttpResponse]:
    response: HttpResponse = yield Download(request, within, file)
    return response


def sleep(seconds: float) -> Plan[None]:
    yield Sleep(seconds)


def authorize(rejected: str | None = None) -> Plan[str]:
    token: str = yield Authorize(rejected)
    return token
