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

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
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

    def answer(request: AWSPreparedRequest) -> AWSResponse:
        body = _Body(json.dumps(document).encode())
        return AWSResponse(request.url, status, {"content-type": "application/x-amz-json-1.0", **(headers or {})}, body)

    return answer


def garbled(status: int = 200, text: str = "<html>Bad gateway at k9-reports-test</html>") -> Fault:
    """An answer that is not DynamoDB's, as from a proxy in between."""
    return lambda request: AWSResponse(request.url, status, {"content-type": "text/html"}, _Body(text.encode()))


def raising(error: Exception) -> Fault:
    """No answer at all: the transport's error."""

    def fail(request: AWSPreparedRequest) -> AWSResponse:
        raise error

    return fail


@contextmanager
def faulty(manager: DatabaseManager, fault: Fault, *, times: int | None = None) -> Iterator[Fired]:
    """Every try (or the first `times`) meets `fault`; moto sees the others alone, so that nothing is applied."""
    events, count = manager.client.meta.events, Fired()

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
def recorded(manager: DatabaseManager) -> Iterator[list[str]]:
    """The names of the operations that the manager's client sends, once per try."""
    events, sent = manager.client.meta.events, []  # type: ignore[var-annotated]

    def record(model: object, **_: object) -> None:
        sent.append(str(getattr(model, "name", model)))

    events.register("before-call", record)
    try:
        yield sent
    finally:
        events.unregister("before-call", record)
