"""What happened to each try of one AWS call: the SDK tells the outcome of the last try only, and that is not enough.

A write whose answer got lost may have been applied; one that was throttled or never sent cannot have been. The SDK
retries both alike, so the tries are watched as they come in (botocore's `response-received` event, once per try).
"""

import time
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
)
from botocore.hooks import BaseEventHooks


class TooLateToSend(Exception):
    """A try was due after the call's `send_by`, or after one that must not be repeated, and was not sent."""


@dataclass(slots=True)
class Attempts:
    """Counts of one call; `ambiguous` are the tries that failed and yet may have been applied."""

    made: int = 0
    ambiguous: int = 0
    send_by: float | None = None
    """`time.monotonic()` in seconds, after which no further try is sent."""

    is_once: bool = False
    """No try is sent after one that may have been applied: to apply it twice would be worse than not to know."""

    @property
    def may_have_been_applied(self) -> bool:
        return self.ambiguous > 0


_NEVER_SENT = (
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    CredentialRetrievalError,
    TooLateToSend,
)
current_attempts: ContextVar[Attempts | None] = ContextVar("k9_attempts", default=None)


def watch_attempts(events: BaseEventHooks) -> None:
    """Have a client's tries counted into `current_attempts`, and those that come too late refused."""
    events.register_first("before-send", _refuse_late)
    events.register("response-received", _count)


def _refuse_late(**_: object) -> None:
    attempts = current_attempts.get()
    if attempts is None:
        return
    is_late = attempts.send_by is not None and time.monotonic() > attempts.send_by
    if is_late or (attempts.is_once and attempts.may_have_been_applied):
        raise TooLateToSend


def _count(response_dict: dict[str, Any] | None, exception: Exception | None, **_: object) -> None:
    attempts = current_attempts.get()
    if attempts is None:
        return
    attempts.made += 1
    if exception is not None:
        attempts.ambiguous += not isinstance(exception, _NEVER_SENT)
    elif response_dict is not None:
        attempts.ambiguous += response_dict["status_code"] >= 500
