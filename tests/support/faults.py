"""AWS failures on demand: a client's tries answered or broken off before anything reaches an engine.

with faulty(manager, answering(500, "InternalServerError")) as fault:
    ...
assert fault.fired
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.model import OperationModel
from moto.core.models import botocore_stubber

from shared.database import DatabaseManager

Fault = Callable[[AWSPreparedRequest], AWSResponse]

TABLE_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/k9-reports-test"


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


def garbled(status: int = 200, text: str = "<html>Bad gateway at k9-reports-test</html>") -> Fault:
    """An answer that is not DynamoDB's, as from a proxy in between."""
    return lambda request: _response(request, status, text, {"content-type": "text/html"})


def raising(error: Exception) -> Fault:
    """No answer at all: the transport's error."""

    def fail(request: AWSPreparedRequest) -> AWSResponse:
        raise error

    return fail


@contextmanager
def faulty(manager: DatabaseManager, fault: Fault, *, times: int | None = None) -> Iterator[Fired]:
    """Every try (or the first `times`) meets `fault`; moto sees the others alone, so that nothing is applied."""
    events: Any = manager.client.meta.events
    count = Fired()

    def before_send(event_name: str, request: AWSPreparedRequest, **context: object) -> AWSResponse | None:
        if times is not None and count.fired >= times:
            return botocore_stubber(event_name, request, **context)
        count.fired += 1
        return fault(request)

    events.unregister("before-send", botocore_stubber)
    events.register("before-send", before_send)
    try:
        yield count
    finally:
        events.unregister("before-send", before_send)
        events.register("before-send", botocore_stubber)


@contextmanager
def requests_sent(manager: DatabaseManager) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """The calls that the manager's client is asked for: operation and parameters."""
    events: Any = manager.client.meta.events
    sent: list[tuple[str, dict[str, Any]]] = []

    def record(params: dict[str, Any], model: OperationModel, **_: object) -> None:
        sent.append((model.name, dict(params)))

    events.register("provide-client-params", record)
    try:
        yield sent
    finally:
        events.unregister("provide-client-params", record)


@contextmanager
def recorded(manager: DatabaseManager) -> Iterator[list[str]]:
    """The operations that the manager's client is asked for, by name."""
    events: Any = manager.client.meta.events
    operations: list[str] = []

    def record(model: OperationModel, **_: object) -> None:
        operations.append(model.name)

    events.register("before-call", record)
    try:
        yield operations
    finally:
        events.unregister("before-call", record)


def _response(request: AWSPreparedRequest, status: int, text: str, headers: Mapping[str, str]) -> AWSResponse:
    given: Any = dict(headers)
    return AWSResponse(request.url, status, given, _Body(text.encode()))
