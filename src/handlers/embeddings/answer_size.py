"""The limit of what a Lambda function may answer, told before it is met."""

from collections.abc import Iterable

from shared.errors import FieldError, InvalidRequest
from shared.models import json_text
from shared.models.json_value import JsonObject
from shared.models.vector import MAX_COMPONENT_TEXT

MAX_ANSWER_BYTES = 5 * 1024 * 1024
"""Below the 6 MB of "Lambda quotas" in the AWS Lambda developer guide, with room for all but products and vectors."""


def require_answer_size(products: Iterable[JsonObject], pointer: str, *, components: int = 0) -> None:
    """Raises InvalidRequest, at the member that can make it smaller, for an answer that could not be sent."""
    size = components * MAX_COMPONENT_TEXT + sum(len(json_text.dumps(product).encode()) for product in products)
    if size > MAX_ANSWER_BYTES:
        reason = f"makes an answer of more than {MAX_ANSWER_BYTES} bytes; ask for fewer products, or without vectors"
        raise InvalidRequest("The answer would be too large.", errors=[FieldError(pointer, reason)])
