"""When a request is sent again, and after how long.

What may be repeated follows from the API's own words (docs/API.md, "Retrying"):

- reads, searches, deletes, steps of a delete by filter and requests for a build are safe to repeat as they are;
- every other write carries an Idempotency-Key, the same in all tries, by which the API recognises what it has done;
- after 429 and 503 `unavailable` nothing was changed, and where no connection came about nothing was sent.

After a timeout, a broken connection, a 502, 503 or 504 of the gateway and an `outcome-unknown`, a request is hence
repeated only if it is safe or carries a key. A 500, and what the API refuses, is never repeated: it would fare alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from .errors import (
    GatewayError,
    InternalError,
    K9Error,
    OutcomeUnknown,
    ProblemError,
    TooManyRequests,
    TransportError,
    Unavailable,
)

_PASSING = (502, 503, 504)


class Repeat(Enum):
    """Why a request may be sent again although an earlier try may have been carried out; NEVER: it may not."""

    SAFE = "it does the same again"
    KEYED = "its Idempotency-Key"
    NEVER = "nothing"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `attempts` tries, none of which begins more than `deadline` seconds after the first.

    The pause before the next try is drawn from 0 to `base` seconds, doubled with every try up to `longest` (full
    jitter: Brooker, "Exponential Backoff And Jitter"), on top of what a Retry-After asks for.
    """

    attempts: int = 4
    deadline: float = 60.0
    base: float = 0.25
    longest: float = 8.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1: the first try counts")
        if min(self.deadline, self.base, self.longest) < 0:
            raise ValueError("deadline, base and longest are seconds, and cannot be negative")

    def pause(self, attempt: int, retry_after: float | None, jitter: Callable[[float, float], float]) -> float:
        """Seconds to wait after the try of this number, counted from 1."""
        return (retry_after or 0.0) + jitter(0.0, min(self.longest, self.base * 2.0 ** min(attempt - 1, 32)))


NO_RETRIES = RetryPolicy(attempts=1)


def is_certain(error: K9Error) -> bool:
    """Whether the request that ended so was surely not carried out."""
    if isinstance(error, TransportError):
        return error.is_unsent
    return not isinstance(error, OutcomeUnknown | GatewayError | InternalError)


def may_repeat(error: K9Error, repeat: Repeat) -> bool:
    """Whether sending the request again can help and cannot harm."""
    if isinstance(error, TooManyRequests | Unavailable):
        return True
    passes = isinstance(error, TransportError | OutcomeUnknown) or (
        isinstance(error, GatewayError) and error.status in _PASSING
    )
    return passes and (repeat is not Repeat.NEVER or is_certain(error))


def retry_after(error: K9Error) -> float | None:
    return error.retry_after if isinstance(error, ProblemError) else None


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a Retry-After asks to wait (RFC 9110, section 10.2.3); None where there is none that can be read."""
    stated = headers.get("Retry-After", "").strip()
    if stated.isascii() and stated.isdigit():
        return float(stated)
    try:
        moment = parsedate_to_datetime(stated)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - datetime.now(UTC)).total_seconds())
