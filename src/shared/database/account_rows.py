"""What an account's erasure does to its row of users and its reports.

At the end of an erasure the row is fenced (`ERASING_UNTIL`): it says that nothing can be declared, and nothing else. No
model version can then come about between the last look and the deletion of the row; and a process that remembers one
from before has forgotten it by the time the fence is lifted.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

from ..errors import OutcomeUnknown
from . import conditions
from .attributes import Row, from_item, to_attribute, to_item
from .conditions import Condition
from .failures import ConditionRefused
from .manager import DatabaseManager, Operation
from .model_versions import ERASING_UNTIL
from .pages import query_pages
from .parallel import run_all, values_of
from .reports import ReportRepository

_PAGE_ROWS = 500
_KEPT = frozenset({"user_id", ERASING_UNTIL})
_TRIES = 3
_NO_NAMES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ProfileSeen:
    """A row of users at one moment: when it was made, and its model versions, to which others can only be added."""

    exists: bool
    created_at: str | None = None
    model_versions: frozenset[str] = frozenset()
    has_map: bool = False


@dataclass(frozen=True, slots=True)
class Fenced:
    """A row of users behind a fence: its model versions, none of which can be added, and its attributes."""

    until: str
    model_versions: frozenset[str]
    attributes: frozenset[str]


class AccountRows:
    """The rows of one user but for the embeddings."""

    def __init__(self, manager: DatabaseManager, user_id: str) -> None:
        self._manager = manager
        self._user_id = user_id

    def see_profile(self) -> ProfileSeen:
        """The row as it is, strongly consistent."""
        answer = self._manager.call("get_item", TableName=self._users, Key=self._key, ConsistentRead=True)
        return _seen(from_item(answer["Item"])) if "Item" in answer else ProfileSeen(exists=False)

    def delete_profile(self, seen: ProfileSeen) -> bool:
        """Delete the row if it still is what was seen; False where another is there, or has more model versions."""
        if not seen.exists:
            return not self.see_profile().exists
        return self._change("delete_item", conditions.owned_by(self._user_id) & _unchanged(seen))

    def fence(self, until: str) -> Fenced:
        """Let nothing be declared from now on, and tell what the row holds. A row that is missing is made."""
        answer = self._repeat(
            lambda: self._manager.call(
                "update_item",
                TableName=self._users,
                Key=self._key,
                UpdateExpression="SET #erasing = :until",
                ExpressionAttributeNames={"#erasing": ERASING_UNTIL},
                ExpressionAttributeValues={":until": to_attribute(until)},
                ReturnValues="ALL_NEW",
            )
        )
        row = from_item(answer["Attributes"])
        return Fenced(until, _seen(row).model_versions, frozenset(row) - _KEPT)

    def strip(self, fenced: Fenced) -> bool:
        """Leave nothing in the row but the fence; False where another, or none, is there."""
        names = {f"#old_{place}": name for place, name in enumerate(sorted(fenced.attributes))}
        condition = conditions.fenced(ERASING_UNTIL, fenced.until)
        if not names:
            return True
        return self._change("update_item", condition, names=names, UpdateExpression="REMOVE " + ", ".join(names))

    def lift(self, until: str) -> None:
        """Delete the row that was fenced so; nothing where that has been done."""
        self._change("delete_item", conditions.fenced(ERASING_UNTIL, until))

    def report_ids(self) -> Iterator[list[str]]:
        """The ids of the user's reports, page by page, as the index shows them."""
        owned = conditions.owned_by(self._user_id)
        pages = query_pages(
            self._manager,
            TableName=self._reports,
            IndexName=ReportRepository.index,
            KeyConditionExpression=owned.expression,
            ProjectionExpression="#id",
            ExpressionAttributeNames={**owned.names, "#id": "id"},
            ExpressionAttributeValues=owned.values,
            Limit=_PAGE_ROWS,
        )
        for page in pages:
            yield [item["id"]["S"] for item in page["Items"]]

    def delete_reports(self, ids: Sequence[str], check: Callable[[], None]) -> int:
        """Delete those of these reports that are the user's; how many there were. `check` may raise before each."""
        return sum(values_of(run_all([partial(self._delete_report, report_id, check) for report_id in ids])))

    def _delete_report(self, report_id: str, check: Callable[[], None]) -> bool:
        check()
        owned = conditions.owned_by(self._user_id)
        return self._change("delete_item", owned, TableName=self._reports, Key={"id": {"S": report_id}})

    def _change(
        self, operation: Operation, condition: Condition, *, names: Mapping[str, str] = _NO_NAMES, **parameters: Any
    ) -> bool:
        """A write, of the user's row if nothing else is said, on a condition; whether it was done. One whose answer got
        lost may count as not done."""
        values = {"ExpressionAttributeValues": condition.values} if condition.values else {}
        stated = {
            "TableName": self._users,
            "Key": self._key,
            "ConditionExpression": condition.expression,
            "ExpressionAttributeNames": {**condition.names, **names},
            **values,
            **parameters,
        }
        with suppress(ConditionRefused):
            self._repeat(lambda: self._manager.call(operation, **stated))
            return True
        return False

    def _repeat(self, call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The answer of a call that may be made again after one whose answer got lost."""
        for _ in range(_TRIES - 1):
            with suppress(OutcomeUnknown):
                return call()
        return call()

    @property
    def _users(self) -> str:
        return self._manager.settings.users_table

    @property
    def _reports(self) -> str:
        return self._manager.settings.reports_table

    @property
    def _key(self) -> Any:
        return to_item({"user_id": self._user_id})


def _seen(row: Row) -> ProfileSeen:
    models = row.get("models")
    created_at = row.get("created_at")
    return ProfileSeen(
        exists=True,
        created_at=created_at if isinstance(created_at, str) else None,
        model_versions=frozenset(models) if isinstance(models, dict) else frozenset(),
        has_map=isinstance(models, dict),
    )


def _unchanged(seen: ProfileSeen) -> Condition:
    """The row is the one that was seen, with no model version more."""
    made = conditions.absent("created_at") if seen.created_at is None else conditions.made_at(seen.created_at)
    return made & (conditions.as_many_models(len(seen.model_versions)) if seen.has_map else conditions.absent("models"))
