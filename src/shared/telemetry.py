"""One JSON line per request: the log entry and its metrics (CloudWatch embedded metric format) in one record.

Nothing personal goes in: the caller is a digest, and a failure is told by its type and place, never by its message,
which might quote the input.
"""

import hashlib
import logging
import time
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from .process import per_process
from .scope import Scope

SERVICE = "k9-api"
NAMESPACE = "K9"
_REQUEST = "k9_request"
_COUNTED = {401: ("auth_failures",), 429: ("throttles",)}


class _RequestLine(LambdaPowertoolsFormatter):
    """A line of exactly what `log_request` gives, without the place in the source, which is always the same one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        head = {"level": record.levelname, "timestamp": moment, "service": SERVICE, "message": record.getMessage()}
        return self.serialize({**head, **vars(record).get(_REQUEST, {})})


@per_process
def get_logger() -> Logger:
    return Logger(service=SERVICE, level="INFO", logger_formatter=_RequestLine())


def digest(user_id: str) -> str:
    """A stable stand-in for a user: the first 64 bits of SHA-256, in hex."""
    return hashlib.sha256(user_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def log_request(
    *,
    route: str,
    status: int,
    milliseconds: float,
    request_id: str,
    caller: str | None,
    scope: Scope,
    details: dict[str, Any],
) -> None:
    """Write the line of one request; `details` are reason codes and the like."""
    record = {
        "status": status,
        "request_id": request_id,
        "caller": caller,
        "aws_calls": scope.aws_calls,
        "retries": scope.retries,
        **({"ownership_refusals": scope.ownership_refusals} if scope.ownership_refusals else {}),
        **details,
        **_metrics(route, status, milliseconds, scope),
    }
    logger = get_logger()
    (logger.error if status >= 500 else logger.info)("request", extra={_REQUEST: record})


def log_warning(message: str, **details: Any) -> None:
    """Write one line about something that was got over; `details` name things by digest and number, as ever."""
    get_logger().warning(message, extra={_REQUEST: details})


def _metrics(route: str, status: int, milliseconds: float, scope: Scope) -> dict[str, Any]:
    """The request's metrics as members of its log line, under the directive that has CloudWatch read them."""
    values = {
        "requests": 1,
        "milliseconds": round(milliseconds, 3),
        "consumed_capacity": scope.consumed_capacity,
        **dict.fromkeys(_counted(status), 1),
    }
    directive = _directive(route, tuple(values))
    return {"_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": directive}, "route": route, **values}


def _counted(status: int) -> tuple[str, ...]:
    return ("faults",) if status >= 500 else _COUNTED.get(status, ())


@lru_cache(maxsize=256)
def _directive(route: str, names: tuple[str, ...]) -> Any:
    """What CloudWatch is told about these metrics: the same for every request of a route, so it is made once."""
    metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
    metrics.add_dimension("route", route)
    for name in names:
        unit = MetricUnit.Milliseconds if name == "milliseconds" else MetricUnit.Count
        metrics.add_metric(name, unit, 0)
    return metrics.serialize_metric_set()["_aws"]["CloudWatchMetrics"]


def describe_causes(error: BaseException) -> dict[str, Any]:
    """The types of an exception and of what caused it, and AWS's code where it is one of AWS's; no message."""
    return {
        "exception": [type(link).__name__ for link in _chain(error)],
        "error_code": next((code for link in _chain(error) if (code := _aws_code(link))), None),
    }


def describe_failure(error: BaseException) -> dict[str, Any]:
    """Type and place of an unexpected exception and of what caused it, without any message."""
    return {
        **describe_causes(error),
        "stack": [
            f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)
        ],
    }


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain


def _aws_code(error: BaseException) -> str | None:
    response = getattr(error, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None
