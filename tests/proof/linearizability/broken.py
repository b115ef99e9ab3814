"""Repositories broken on purpose, one rule each: what a checker is worth is what it catches.

Each is a context: within it, the code under test lacks the rule.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import PropertyMock, patch

from shared.database import DatabaseManager, DBReport, ReportRepository, Terms, conditions, failures, writes
from shared.database.attempts import Attempts
from shared.database.attributes import to_item
from shared.database.conditions import Condition
from shared.database.repository import operation
from shared.errors import Unavailable

Broken = Callable[[], AbstractContextManager[None]]

_ANY = Condition("attribute_not_exists(#nothing)", {"#nothing": "nothing"})
"""Holds of every row, and of none."""


@contextmanager
def _replaced(*patches: AbstractContextManager[Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for entered in patches:
            stack.enter_context(entered)
        yield


def _without_condition(name: str) -> Broken:
    """The write path lacks the condition of this name; keys of queries are built with it still."""

    def broken() -> AbstractContextManager[None]:
        others = {name: getattr(conditions, name) for name in vars(conditions) if not name.startswith("__")}
        lax = SimpleNamespace(**{**others, name: lambda *_: _ANY})
        return _replaced(patch.object(writes, "conditions", lax))

    return broken


def _ignoring_the_register() -> AbstractContextManager[None]:
    return _replaced(
        patch.object(writes, "has_made", lambda row, write: False),
        patch.object(conditions, "not_written_by", lambda write_id: _ANY),
    )


def _register_of_one() -> AbstractContextManager[None]:
    return _replaced(patch.object(writes, "REGISTER", ("write_1",)), patch.object(conditions, "REGISTER", ("write_1",)))


def _blind_to_an_overrun_register() -> AbstractContextManager[None]:
    return _replaced(patch.object(writes, "_pushed_out", lambda row, clock: False))


def _reading_favorites_first() -> AbstractContextManager[None]:
    """Read, change, write: what everybody writes first."""

    def changed(change: Callable[[set[str], str], set[str]]) -> Any:
        def method(
            self: ReportRepository, report_id: str, user_id: str, product_id: str, terms: Terms | None = None
        ) -> DBReport:
            favorites = self.get_report(report_id, user_id).favorites
            return self.replace_favorites(report_id, user_id, change(favorites, product_id), terms)

        return operation(method)

    return _replaced(
        patch.object(ReportRepository, "add_favorite", changed(lambda favorites, one: favorites | {one})),
        patch.object(ReportRepository, "remove_favorite", changed(lambda favorites, one: favorites - {one})),
    )


def _deleting_anything() -> AbstractContextManager[None]:
    def delete(manager: DatabaseManager, target: writes.Target, versions: Collection[int] | None = None) -> None:
        manager.call("delete_item", TableName=target.table, Key=to_item(target.key))

    return _replaced(patch.object(writes, "delete", delete))


def _calling_the_unknown_unavailable() -> AbstractContextManager[None]:
    class Guess(Unavailable):
        def __init__(self) -> None:
            super().__init__("The database does not answer. Nothing was changed; try again later.")

    return _replaced(patch.object(failures, "OutcomeUnknown", Guess), patch.object(writes, "OutcomeUnknown", Guess))


def _trusting_lost_tries() -> AbstractContextManager[None]:
    """A try without an answer is taken for one that was not applied."""
    never = PropertyMock(return_value=False)
    return _replaced(patch.object(Attempts, "may_have_been_applied", never))


def _reading_what_may_lag() -> AbstractContextManager[None]:
    call = DatabaseManager.call

    def lax(self: DatabaseManager, operation: Any, **parameters: Any) -> dict[str, Any]:
        return call(self, operation, **{name: value for name, value in parameters.items() if name != "ConsistentRead"})

    return _replaced(patch.object(DatabaseManager, "call", lax))


BROKEN: Mapping[str, Broken] = {
    "If-Match is no condition": _without_condition("at_version"),
    "the owner is no condition": _without_condition("owned_by"),
    "a create does not ask whether it is there": _without_condition("absent"),
    "the time is no condition": _without_condition("older_than"),
    "the register is not looked at": _ignoring_the_register,
    "the register has one place": _register_of_one,
    "a register that moved on goes unnoticed": _blind_to_an_overrun_register,
    "favourites have no most": lambda: _replaced(patch.object(conditions, "room_for", lambda *_: _ANY)),
    "favourites are read, changed and written": _reading_favorites_first,
    "a delete has no condition": _deleting_anything,
    "an unknown outcome is called unavailable": _calling_the_unknown_unavailable,
    "a try without answer counts as not made": _trusting_lost_tries,
    "a read need not be consistent": _reading_what_may_lag,
}
"""Each by what it lacks."""

RARE = frozenset({"the time is no condition", "a register that moved on goes unnoticed", "favourites have no most"})
"""What shows only where four others write a report while one waits to try again, or where much is added: looked for in
crowds."""
