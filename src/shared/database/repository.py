"""What the repositories share: their manager, and methods that may be called on the class itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, TypeVar, cast

from .attributes import Row, from_item, to_item
from .manager import DatabaseManager, default_manager
from .writes import BOOKKEEPING, FIRST_VERSION, Target, note_foreign_row

S = TypeVar("S", bound="Repository")
P = ParamSpec("P")
R = TypeVar("R")

EPOCH = "1970-01-01T00:00:00.000000Z"
"""When a row was made that does not say."""


class operation(Generic[S, P, R]):
    """A repository method that also works on the class, where it uses the process's own manager.

    `ReportRepository.create_report(report)` and `ReportRepository(manager).create_report(report)` are the same call.
    """

    def __init__(self, method: Callable[Concatenate[S, P], R]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    def __get__(self, instance: S | None, owner: type[S]) -> Callable[P, R]:
        bound = owner() if instance is None else instance
        return cast(Callable[P, R], self._method.__get__(bound, owner))


class Repository:
    """The rows of one table. Every method takes the owner and answers for a foreign row as for a missing one."""

    kind: ClassVar[str]
    """What one row is called in an answer."""

    def __init__(self, manager: DatabaseManager | None = None) -> None:
        self._manager = manager or default_manager()

    def _read_own(self, target: Target) -> Row:
        """The row, if `target`'s user owns it: the one place where a read by a bare id checks its owner.

        Strongly consistent, so that a write is seen by the read that follows it. Raises NotFound.
        """
        answer = self._manager.call("get_item", TableName=target.table, Key=to_item(target.key), ConsistentRead=True)
        item = answer.get("Item")
        if item is None:
            raise target.missing()
        if item.get("user_id") != {"S": target.user_id}:
            note_foreign_row()
            raise target.missing()
        return from_item(item)


def completed(row: Row) -> dict[str, Any]:
    """The row without what the write path keeps for itself, and with what rows from before it lack."""
    created_at = row.get("created_at", EPOCH)
    missing = {"created_at": created_at, "updated_at": created_at, "version": FIRST_VERSION}
    return {**missing, **{name: value for name, value in row.items() if name not in BOOKKEEPING}}
