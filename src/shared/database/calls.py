"""One AWS call: counted and bounded in time; and, but for DynamoDB (see `failures`), its errors in our terms."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnectionError
from botocore.parsers import ResponseParserError

from ..errors import TooManyRequests, Unavailable
from ..scope import current_scope
from .attempts import Attempts, TooLateToSend, current_attempts

CallError = ClientError | BotoCoreError | ResponseParserError
CALL_ERRORS = (ClientError, BotoCoreError, ResponseParserError)
THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_PASSING = frozenset({"RequestTimeout", "RequestTimeoutException"})
NO_ANSWERS = (NoConnectionError, HTTPClientError, ResponseParserError, TooLateToSend)


@contextmanager
def counted_call(send_by: float | None = None, *, is_once: bool = False) -> Iterator[Attempts]:
    """The one AWS call that the block makes: its tries watched, its cost entered into the request's scope.

    No try of it is sent after `send_by` (`time.monotonic()`, seconds), nor, where it `is_once`, after one that may have
    been applied. Raises Unavailable where the request has no time left for it.
    """
    scope = current_scope()
    if scope:
        scope.ensure_time_for_a_call()
    attempts = Attempts(send_by=send_by, is_once=is_once)
    token = current_attempts.set(attempts)
    try:
        yield attempts
    finally:
        current_attempts.reset(token)
        if scope:
            scope.count_call(retries=max(0, attempts.made - 1))


def raise_translated(error: CallError, kind: str) -> NoReturn:
    """Raise what a failed call of a `kind` of service ("object store") means: 429, 503, or the error itself."""
    if isinstance(error, ClientError):
        code = error.response["Error"]["Code"]
        if code in THROTTLES:
            raise TooManyRequests from error
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500 or code in _PASSING:
            raise no_answer(kind) from error
    if isinstance(error, NO_ANSWERS):
        raise no_answer(kind) from error
    raise error


def no_answer(kind: str) -> Unavailable:
    return Unavailable(f"The {kind} does not answer. Nothing was changed; try again later.")
