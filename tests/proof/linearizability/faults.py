"""What may become of the tries of a request: drawn at its begin, and taken one a try."""

import random
from collections.abc import Sequence
from enum import StrEnum


class Fate(StrEnum):
    NONE = "none"
    THROTTLED = "try throttled"
    UNREACHABLE = "try never sent"
    LOST = "try lost before it was applied"
    UNANSWERED = "answer lost after it was applied"
    FAILED = "server error after it was applied"
    LATE = "try applied after the client gave it up"
    DIED = "client died before its try was applied"
    DIED_AFTER = "client died after its try was applied"


EVERY_ANSWER_LOST = "every answer lost"
OWN_RETRY = "client's own retry with its key"
SKEWED = "write under a skewed clock"

KINDS = (*(fate.value for fate in Fate if fate is not Fate.NONE), EVERY_ANSWER_LOST, OWN_RETRY, SKEWED)

AMBIGUOUS = frozenset({Fate.LOST, Fate.UNANSWERED, Fate.FAILED, Fate.LATE})
"""Those after which the SDK tries again and cannot know."""

_TRIES = 3
_SINGLE = (
    (Fate.UNANSWERED, 8),
    (Fate.LOST, 4),
    (Fate.LATE, 4),
    (Fate.THROTTLED, 2),
    (Fate.FAILED, 2),
    (Fate.DIED_AFTER, 2),
    (Fate.DIED, 1),
    (Fate.UNREACHABLE, 1),
)

_LASTING = (Fate.UNANSWERED, Fate.UNANSWERED, Fate.LOST, Fate.LATE, Fate.THROTTLED, Fate.UNREACHABLE)
"""What may become of all tries."""


def draw(source: random.Random, chance: float) -> list[Fate]:
    """Fates of a request's tries, from the first on; those that are not listed fare well."""
    if source.random() >= chance:
        return []
    if source.random() < 0.2:
        return [source.choice(_LASTING)] * _TRIES
    fates = _one(source)
    while source.random() < 0.3 and len(fates) < _TRIES:
        fates += _one(source)
    return fates


def _one(source: random.Random) -> list[Fate]:
    fates, weights = zip(*_SINGLE, strict=True)
    return list(source.choices(fates, weights))


def loses_every_answer(fates: Sequence[Fate]) -> bool:
    return len(fates) == _TRIES and set(fates) == {Fate.UNANSWERED}
