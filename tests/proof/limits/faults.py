"""What goes wrong between a process and the table of limits: by chance, from a seed, each time it fires counted."""

import json
import random
from collections import Counter
from typing import Any

import botocore.endpoint
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from botocore.httpsession import URLLib3Session

from shared.database import DatabaseManager


class Faults:
    """Tries of a manager's calls that meet a fault, one in `one_in`."""

    def __init__(self, manager: DatabaseManager, source: random.Random, one_in: int) -> None:
        self.fired: Counter[str] = Counter()
        self._table, self._source, self._one_in = manager.settings.limits_table, source, one_in
        self._session = URLLib3Session()
        botocore.endpoint.time = _Impatient  # type: ignore[attr-defined]  # in this process alone
        events: Any = manager.client.meta.events
        events.register("before-send", self._before_send)

    def _before_send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse | None:
        body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
        if self._table.encode() not in body or self._source.randrange(self._one_in):
            return None
        kind = self._source.choice(("throttled", "not reached", "answer lost"))
        self.fired[kind] += 1
        if kind == "throttled":
            return _refused(request)
        if kind == "answer lost":
            self._session.send(request)  # it arrives, and is applied
            raise ReadTimeoutError(endpoint_url=request.url)
        raise ConnectTimeoutError(endpoint_url=request.url)


def _refused(request: AWSPreparedRequest) -> AWSResponse:
    document = {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow down"}
    headers: Any = {}
    return AWSResponse(request.url, 400, headers, _Body(json.dumps(document).encode()))


class _Impatient:
    """Time for the SDK's retries: they do not wait."""

    @staticmethod
    def sleep(seconds: float) -> None:
        pass


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Any:
        yield self._content
