"""Between the SDK and the engine: each try stops before it is sent and once more after it was applied, and may fail."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectionClosedError, ConnectTimeoutError, ReadTimeoutError
from moto.core.botocore_stubber import MockRawResponse
from moto.core.models import botocore_stubber

from shared.database import DatabaseManager
from tests.support.faults import answering

from .faults import AMBIGUOUS, EVERY_ANSWER_LOST, Fate, loses_every_answer
from .history import Call
from .scheduler import Scheduler

_THROTTLE = answering(400, "ProvisionedThroughputExceededException")
_SERVER_ERROR = answering(500, "InternalServerError")


class Died(BaseException):
    """The process is gone, and whoever asked gets no answer."""


@dataclass(slots=True)
class Asking:
    """The request that a thread is about, and what becomes of its tries."""

    call: Call
    fates: list[Fate]
    tries: int = 0


@dataclass
class Transport:
    """What the clients' managers of one history send through."""

    scheduler: Scheduler
    fired: Counter[str]
    asking: threading.local = field(default_factory=threading.local)
    former: dict[str, list[Any]] = field(default_factory=dict)
    """Each row as the writes of it left it: what a read may be told that need not be consistent."""

    def send(self, event_name: str, request: AWSPreparedRequest, **context: object) -> AWSResponse | None:
        asking: Asking | None = getattr(self.asking, "current", None)
        if asking is None:
            return botocore_stubber(event_name, request, **context)
        fate = self._fate(asking, request)
        self.scheduler.pause()
        self._fail_before(fate, event_name, request)
        if fate is Fate.THROTTLED:
            return _THROTTLE(request)
        response = self._apply(event_name, request)
        self.scheduler.pause()
        if fate is Fate.UNANSWERED:
            raise ConnectionClosedError(endpoint_url=request.url)
        if fate is Fate.DIED_AFTER:
            raise Died
        return _SERVER_ERROR(request) if fate is Fate.FAILED else response

    def _fate(self, asking: Asking, request: AWSPreparedRequest) -> Fate:
        """The fate of this try, noted and counted."""
        fate = asking.fates[asking.tries] if asking.tries < len(asking.fates) else Fate.NONE
        asking.tries += 1
        if fate is Fate.LATE and not _may_be_late(request):
            fate = Fate.LOST
        if fate is not Fate.NONE:
            self.fired[fate.value] += 1
            asking.call.notes.append(fate.value)
        if asking.tries == len(asking.fates) and loses_every_answer(asking.fates):
            self.fired[EVERY_ANSWER_LOST] += 1
        asking.call.unanswered_tries += fate in AMBIGUOUS
        return fate

    def _fail_before(self, fate: Fate, event_name: str, request: AWSPreparedRequest) -> None:
        """Raises what becomes of a try that is not applied, or not yet."""
        if fate is Fate.UNREACHABLE:
            raise ConnectTimeoutError(endpoint_url=request.url)
        if fate is Fate.LATE:
            self.scheduler.later.append(lambda: self._apply(event_name, request))
        if fate in (Fate.LOST, Fate.LATE):
            raise ReadTimeoutError(endpoint_url=request.url)
        if fate is Fate.DIED:
            raise Died

    def _apply(self, event_name: str, request: AWSPreparedRequest) -> AWSResponse | None:
        response = botocore_stubber(event_name, request)
        assert response is not None
        asked = json.loads(_content(request))
        rows = self.former.setdefault(json.dumps(asked.get("Key")), [])
        if _operation(request) == "UpdateItem" and response.status_code == 200:
            rows.append(json.loads(response.content)["Attributes"])
        if _operation(request) == "GetItem" and not asked.get("ConsistentRead") and len(rows) > 1:
            return _answer(response, {"Item": rows[-2]})
        return response


@contextmanager
def through(transport: Transport, managers: list[DatabaseManager]) -> Iterator[None]:
    """The managers' tries go through the transport."""
    for manager in managers:
        events: Any = manager.client.meta.events
        events.unregister("before-send", botocore_stubber)
        events.register("before-send", transport.send)
    try:
        yield
    finally:
        for manager in managers:
            events = manager.client.meta.events
            events.unregister("before-send", transport.send)
            events.register("before-send", botocore_stubber)


def _content(request: AWSPreparedRequest) -> bytes:
    body = request.body
    return body if isinstance(body, bytes) else str(body).encode()


def _operation(request: AWSPreparedRequest) -> str:
    target = request.headers["X-Amz-Target"]
    return (target.decode() if isinstance(target, bytes) else str(target)).rpartition(".")[2]


def _may_be_late(request: AWSPreparedRequest) -> bool:
    """A try of an update is good for a time; a create's or a delete's would undo what came after it (docs/PROOF.md)."""
    return _operation(request) == "UpdateItem"


def _answer(response: AWSResponse, document: Any) -> AWSResponse:
    """The response with another content."""
    body: Any = MockRawResponse(json.dumps(document))
    headers: Any = response.headers
    return AWSResponse(response.url, response.status_code, headers, body)
