"""Deleting what a filter matches, step after step."""

from collections.abc import Callable
from dataclasses import dataclass

from .effects import Plan
from .errors import K9Error, UnexpectedAnswer
from .models.embeddings import DeleteResult


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """The sums of all steps. What changed meanwhile was examined again, so `examined` may be more than there is."""

    examined: int = 0
    matched: int = 0
    deleted: int = 0

    def plus(self, step: DeleteResult) -> "DeleteReport":
        return DeleteReport(self.examined + step.examined, self.matched + step.matched, self.deleted + step.deleted)


def delete_all(take_step: Callable[[str | None], Plan[DeleteResult]]) -> Plan[DeleteReport]:
    """Follows the continuation to its end.

    A step that begins where the last one did has to have deleted something, or there would be no end to it: raises
    UnexpectedAnswer. Raises what a step raises, with a note of what was deleted before: call again to go on.
    """
    total = DeleteReport()
    continuation: str | None = None
    while True:
        try:
            step = yield from take_step(continuation)
        except K9Error as error:
            error.add_note(f"{total.deleted} products had been deleted before; the same call goes on")
            raise
        total = total.plus(step)
        if step.continuation is None:
            return total
        if step.continuation == continuation and not step.deleted:
            raise UnexpectedAnswer("the answer leads back to the same step, which deletes nothing")
        continuation = step.continuation
