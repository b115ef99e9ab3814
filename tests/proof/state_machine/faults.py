"""Faults between the SDK and an engine, one request at a time, on moto and on a real connection alike."""

import json
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from moto.core.models import botocore_stubber

from tests.support.faults import answering, answering_as_s3

THROTTLES = ("throttled, one try", "throttled, all tries")
TIMEOUTS = ("timed out before it was applied, one try", "timed out before it was applied, all tries", "no connection")
LOSSES = ("answer lost, one try", "answers lost, all tries")
OF_REQUESTS = (*THROTTLES, *TIMEOUTS, *LOSSES)
BROKEN_OFF = "worker broken off"
LAG, RESTART, TWICE = "index lag", "process restart", "task done twice"
KINDS = (*OF_REQUESTS, BROKEN_OFF, TWICE, LAG, RESTART)

_WRITES = ("PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem")


class Killed(BaseException):
    """The process is gone."""


@dataclass(frozen=True)
class Plan:
    """What happens to the tries of a request, after so many others have gone well."""

    kind: str
    skip: int = 0

    @classmethod
    def drawn(cls, dice: random.Random) -> "Plan | None":
        return cls(dice.choice(OF_REQUESTS), dice.choice((0, 0, 0, 1, 1, 2, 3))) if dice.random() < 0.3 else None

    @property
    def is_once(self) -> bool:
        return self.kind.endswith("one try")


class Injector:
    """Stands before every client of the process; `fired` counts what really happened, by kind."""

    def __init__(self, fired: Counter[str]) -> None:
        self.fired = fired
        self.between: Callable[[], object] | None = None
        """Called once, before the next write is sent: another writer who is faster."""

        self._plan: Plan | None = None
        self._seen = self._hits = 0
        self._lock = threading.Lock()

    def install(self, client: Any, *, in_process: bool) -> None:
        events = client.meta.events

        def send(event_name: str, request: AWSPreparedRequest, **context: Any) -> Any:
            if not in_process:
                return client._endpoint.http_session.send(request)
            return botocore_stubber(event_name, request, **context)

        def before_send(event_name: str, request: AWSPreparedRequest, **context: Any) -> Any:
            return self._pass(request, lambda: send(event_name, request, **context))

        events.unregister("before-send", botocore_stubber)
        events.register("before-send", before_send)

    def arm(self, plan: Plan | None) -> None:
        self._plan, self._seen, self._hits = plan, 0, 0

    def disarm(self) -> int:
        """How many tries met the plan."""
        self._plan = None
        return self._hits

    def _pass(self, request: AWSPreparedRequest, send: Callable[[], Any]) -> Any:
        self._let_another_in(request)
        plan = self._plan
        if plan is None or not self._is_hit(plan, request):
            return send()
        self.fired[plan.kind] += 1
        if plan.kind == BROKEN_OFF:
            raise Killed
        if plan.kind in THROTTLES:
            return _throttled(request)
        if plan.kind == "no connection":
            raise ConnectTimeoutError(endpoint_url=str(request.url))
        if plan.kind in LOSSES:
            send()
        raise ReadTimeoutError(endpoint_url=str(request.url))

    def _is_hit(self, plan: Plan, request: AWSPreparedRequest) -> bool:
        if plan.kind in LOSSES and not _is_write(request):
            return False
        with self._lock:
            self._seen += 1
            if self._seen <= plan.skip or (plan.is_once and self._hits):
                return False
            self._hits += 1
            return True

    def _let_another_in(self, request: AWSPreparedRequest) -> None:
        if self.between is not None and _is_write(request):
            between, self.between = self.between, None
            between()


def _is_write(request: AWSPreparedRequest) -> bool:
    target: Any = request.headers.get("X-Amz-Target", "")
    text = target.decode() if isinstance(target, bytes) else str(target)
    return text.rpartition(".")[2] in _WRITES if text else request.method in ("PUT", "DELETE")


def _throttled(request: AWSPreparedRequest) -> AWSResponse:
    if "X-Amz-Target" in request.headers:
        return answering(400, "ThrottlingException")(request)
    return answering_as_s3(503, "SlowDown")(request)


class LaggingIndex:
    """Queries of an index see nothing that was written since `since`: a new row is not there, a report is as it was."""

    def __init__(self, fired: Counter[str]) -> None:
        self.fired = fired
        self.since: str | None = None
        self._before: dict[str, Any] = {}

    def install(self, client: Any) -> None:
        client.meta.events.register("after-call.dynamodb.Query", self._hide)

    def begin(self, since: str, reports: list[Any]) -> None:
        self.since = since
        self._before = {row["id"]["S"]: row for row in reports}

    def end(self) -> None:
        self.since = None

    def _hide(self, parsed: dict[str, Any], **_: object) -> None:
        if self.since is None or "Items" not in parsed:
            return
        shown = [self._as_shown(item) for item in parsed["Items"]]
        self.fired[LAG] += sum(old is not item for old, item in zip(shown, parsed["Items"], strict=True))
        parsed["Items"] = [item for item in shown if item is not None]

    def _as_shown(self, item: Any) -> Any:
        is_whole_report = "created_at" in item and "title" in item
        if is_whole_report and item["id"]["S"] in self._before:
            before = self._before[item["id"]["S"]]
            return item if json.dumps(before, sort_keys=True) == json.dumps(item, sort_keys=True) else before
        if set(item) == {"id"}:
            return item
        written = item["created_at"] if is_whole_report else item["updated_at"]
        return None if written["S"] > str(self.since) else item
