"""AWS failures on demand: a client's tries answered or broken off before anything reaches an engine.

with faulty(manager, answering(500, "InternalServerError")) as fault:
    ...
assert fault.fired
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from threading import Lock
from typing import Any, Protocol

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.model import OperationModel
from moto.core.models import botocore_stubber

Fault = Callable[[AWSPreparedRequest], AWSResponse]

TABLE_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/k9-reports-test"
BUCKET_ARN = "arn:aws:s3:::k9-similarity-test"


class Source(Protocol):
    """Whose client is watched, or made to fail: a DatabaseManager, an ObjectStore."""

    @property
    def client(self) -> Any: ...


class _Body(BytesIO):
    """What urllib3 would give botocore to read."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


@dataclass
class Fired:
    """How many tries met the fault: a test that injects one asserts that it did."""

    fired: int = 0


def answering(status: int, code: str, headers: Mapping[str, str] | None = None, message: str | None = None) -> Fault:
    """DynamoDB's own error answer, with the kind of message that must never reach a client."""
    text = message or f"User: arn:aws:iam::123456789012:role/k9 failed on resource: {TABLE_ARN}"
    document = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": text, "Message": text}
    return lambda request: _response(request, status, json.dumps(document), headers or {})


def answering_as_s3(status: int, code: str, message: str | None = None) -> Fault:
    """S3's own error answer, which is XML."""
    text = message or f"User: arn:aws:iam::123456789012:role/k9 failed on resource: {BUCKET_ARN}"
    document = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{text}</Message></Error>"
    return lambda request: _response(request, status, document, {"content-type": "application/xml"})


def garbled(status: int = 200, text: str = "<html>Bad gateway at k9-reports-test</html>") -> Fault:
    """An answer that is not DynamoDB's, as from a proxy in between."""
    return lambda request: _response(request, status, text, {"content-type": "text/html"})


def raising(error: Exception) -> Fault:
    """No answer at all: the transport's error."""

    def fail(request: AWSPreparedRequest) -> AWSResponse:
        raise error

    return fail


@contextmanager
def faulty(source: Source, fault: Fault, *, times: int | None = None, after: int = 0) -> Iterator[Fired]:
    """Every try (or the first `times`) from the one after `after` others on meets `fault`; moto sees the others alone,
    so that nothing is applied."""
    with _before_send([source], fault, times, after) as fired:
        yield fired


@contextmanager
def all_faulty(of_dynamodb: Fault, of_s3: Fault, *sources: Source, after: int = 0) -> Iterator[Fired]:
    """Every try of all these clients after so many others meets the fault of its service."""

    def of_its_service(request: AWSPreparedRequest) -> AWSResponse:
        return (of_dynamodb if "//dynamodb." in str(request.url) else of_s3)(request)

    with _before_send(sources, of_its_service, None, after) as fired:
        yield fired


@contextmanager
def _before_send(sources: Sequence[Source], fault: Fault, times: int | None, after: int) -> Iterator[Fired]:
    count, lock = Fired(), Lock()
    passed = 0

    def is_to_pass() -> bool:
        nonlocal passed
        with lock:
            passed += 1
            if passed <= after or (times is not None and count.fired >= times):
                return True
            count.fired += 1
            return False

    def before_send(event_name: str, request: AWSPreparedRequest, **context: object) -> AWSResponse | None:
        return botocore_stubber(event_name, request, **context) if is_to_pass() else fault(request)

    with ExitStack() as stack:
        for source in sources:
            events: Any = source.client.meta.events
            events.unregister("before-send", botocore_stubber)
            stack.callback(events.register, "before-send", botocore_stubber)
            events.register("before-send", before_send)
            stack.callback(events.unregister, "before-send", before_send)
        yield count


@contextmanager
def requests_sent(*sources: Source) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The calls that these clients are asked for: operation and parameters."""
    sent: list[tuple[str, dict[str, Any]]] = []

    def record(params: dict[str, Any], model: OperationModel, **_: object) -> None:
        sent.append((model.name, dict(params)))

    with _hooked("provide-client-params", record, sources):
        yield sent


@contextmanager
def recorded(*sources: Source) -> Iterator[list[str]]:
    """The operations that these clients are asked for, by name."""
    operations: list[str] = []

    def record(model: OperationModel, **_: object) -> None:
        operations.append(model.name)

    with _hooked("before-call", record, sources):
        yield operations


@contextmanager
def _hooked(event: str, hook: Callable[..., None], sources: Sequence[Source]) -> Iterator[None]:
    with ExitStack() as stack:
        for source in sources:
            events: Any = source.client.meta.events
            events.register(event, hook)
            stack.callback(events.unregister, event, hook)
        yield


def _response(request: AWSPreparedRequest, status: int, text: str, headers: Mapping[str, str]) -> AWSResponse:
    given: Any = dict(headers)
    return AWSResponse(request.url, status, given, _Body(text.encode()))
