"""Where an engine is known to differ from DynamoDB, so that a test cannot run on it. Each is named, with its reason."""

from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Difference:
    engine: str
    reason: str


MOTO_IS_NOT_ATOMIC = Difference(
    "moto", "Its conditional writes check and then act without a lock, so that of concurrent ones several may win."
)
MOTO_MISREADS_EMPTY_NAMES = Difference(
    "moto", "It gives an answer that no SDK can parse for an item with an empty member name inside a map."
)
MOTO_HAS_NO_SIZE_OF_NOTHING = Difference(
    "moto", "It fails at the size of an attribute that is not there, where the condition just does not hold."
)
DYNOXIDE_HAS_NO_S3 = Difference("dynoxide", "It speaks DynamoDB's protocol alone.")


def unlike(difference: Difference) -> pytest.MarkDecorator:
    """Leave the test out on the engine that differs."""
    return pytest.mark.unlike(difference)
