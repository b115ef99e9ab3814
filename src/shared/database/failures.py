"""AWS errors to ours, in one place. What is not named here is a defect or a wrong deployment and stays as it is."""

from typing import NoReturn, cast

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from ..errors import OutcomeUnknown, PayloadTooLarge, TooManyRequests
from .attempts import Attempts, TooLateToSend
from .attributes import Item, Row, from_item
from .calls import NO_ANSWERS, THROTTLES, no_answer

_ITEM_TOO_LARGE = "maximum allowed size"
_KIND = "database"


class ConditionRefused(Exception):
    """A conditional write was refused; `row` is the row that refused it (None: there is none)."""

    def __init__(self, row: Row | None, attempts: Attempts) -> None:
        super().__init__("the condition of a write does not hold")
        self.row = row
        self.may_have_been_applied = attempts.may_have_been_applied


def raise_client_error(error: ClientError, attempts: Attempts, *, is_write: bool) -> NoReturn:
    """Raise what an answered error means: ConditionRefused, 413, 429, 503, or the error itself."""
    code = error.response["Error"]["Code"]
    if code == "ConditionalCheckFailedException":
        item = cast(Item | None, error.response.get("Item"))
        raise ConditionRefused(from_item(item) if item else None, attempts) from error
    if is_write and attempts.may_have_been_applied:
        raise OutcomeUnknown from error  # whatever the last try was told, an earlier one may have done it
    if code in THROTTLES:
        raise TooManyRequests from error
    if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
        raise no_answer(_KIND) from error
    if code == "ValidationException" and _ITEM_TOO_LARGE in error.response["Error"].get("Message", ""):
        raise PayloadTooLarge(
            "Together with what is already kept, this is more than one item can hold (400 KB)."
        ) from error
    raise error


def raise_transport_error(
    error: BotoCoreError | ResponseParserError | TooLateToSend, attempts: Attempts, *, is_write: bool
) -> NoReturn:
    """Raise what a call without a usable answer means: 503, or the error itself where no call could be made at all."""
    if is_write and (attempts.may_have_been_applied or isinstance(error, ResponseParserError)):
        raise OutcomeUnknown from error
    if isinstance(error, NO_ANSWERS):
        raise no_answer(_KIND) from error
    raise error
