"""A scenario: what is there, what is asked for, and what may come of it."""

from collections.abc import Callable
from dataclasses import dataclass

from .world import World

Act = Callable[[World], object]


def _nothing(world: World) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Scenario:
    """`prepare` and `settle` happen without a death, `act` is where processes die.

    `settle` is what goes on by itself afterwards; the state is compared when it is through.
    """

    name: str
    covers: str
    """The route, the worker's task or the function that this is of."""

    act: Act
    prepare: Act = _nothing
    settle: Act = _nothing
    next_use: Act | None = None
    """A further use as there will be one, after which nothing of what was left over may be there."""

    goes_on: bool = False
    """Whether hours go by until it is settled."""

    may_answer: frozenset[int] = frozenset()
    """What a request that is repeated may be answered instead, because the first was done (docs/API.md, "Retrying")."""
