"""Whether a history is one of an atomic object: an order of its operations that respects time and explains all.

The search is Wing and Gong's ("Testing and verifying concurrent objects", 1993) with Lowe's memory of configurations
("Testing for linearizability", 2017): what has been put in order so far and the state that it led to are visited once.

An operation is one or more atomic steps between its invocation and its answer. One step is linearizability proper; more
are for what promises less, such as a request that is sent again. A step names the states that it may lead to, and none
where it contradicts what was seen.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S", bound=Hashable)
Step = Callable[[S], Collection[S]]


@dataclass(frozen=True, slots=True)
class Operation(Generic[S]):
    """What one client asked for. Times are of one clock; without an answer it may still happen, or never."""

    invoked: int
    answered: int | None
    steps: Sequence[Step[S]]


def is_linearizable(operations: Sequence[Operation[S]], initial: S) -> bool:
    done = tuple(0 for _ in operations)
    pending: list[tuple[tuple[int, ...], S]] = [(done, initial)]
    seen = {(done, initial)}
    while pending:
        done, state = pending.pop()
        if _explains_all(operations, done):
            return True
        for configuration in _next(operations, done, state):
            if configuration not in seen:
                seen.add(configuration)
                pending.append(configuration)
    return False


def _explains_all(operations: Sequence[Operation[S]], done: tuple[int, ...]) -> bool:
    return all(
        operation.answered is None or steps == len(operation.steps)
        for operation, steps in zip(operations, done, strict=True)
    )


def _next(operations: Sequence[Operation[S]], done: tuple[int, ...], state: S) -> Iterable[tuple[tuple[int, ...], S]]:
    """A step of any operation that began before the first of the unfinished ones was answered."""
    unfinished = [
        (index, operation)
        for index, (operation, steps) in enumerate(zip(operations, done, strict=True))
        if steps < len(operation.steps)
    ]
    deadline = min((operation.answered for _, operation in unfinished if operation.answered is not None), default=None)
    for index, operation in unfinished:
        if deadline is None or operation.invoked < deadline:
            after = (*done[:index], done[index] + 1, *done[index + 1 :])
            for following in operation.steps[done[index]](state):
                yield after, following
