"""One runner at a time: a lock in the target itself, an item of the users table under a key that no user can have.

It is a lease: a runner that died keeps others out for LEASE_SECONDS. The run that a work file belongs to has a name of
its own, so that it can go on at once after it was killed; a file lock keeps two processes from the same work file.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts.deployment.failure import explain
from scripts.migration.failure import MigrationError
from shared.database.attributes import to_attribute, to_item
from shared.database.failures import ConditionRefused
from shared.database.manager import DatabaseManager
from shared.errors import ApiError

LOCK_ID = "#migration"
"""A token whose `sub` has a # is refused, and no owner of a row may have one."""

LEASE_SECONDS = 60
_RENEWAL_SECONDS = 15.0
_MARGIN_SECONDS = 20
"""So much of the lease has to be left for a write to be sent: longer than a call may take."""


class TargetLock:
    """The lock as one run holds it; `holder` is the run's own name."""

    def __init__(self, manager: DatabaseManager, holder: str, clock: Callable[[], float] = time.time) -> None:
        self._manager = manager
        self._holder = holder
        self._clock = clock
        self._until = 0.0
        self._is_lost = False

    @contextmanager
    def held(self) -> Iterator["TargetLock"]:
        """Take the lock, renew it as long as the block runs, give it back. Raises MigrationError where it is taken."""
        self._take()
        ended = threading.Event()
        renewal = threading.Thread(target=self._renew_until, args=(ended,), name="lease", daemon=True)
        renewal.start()
        try:
            yield self
        finally:
            ended.set()
            renewal.join()
            self._release()

    def check(self) -> None:
        """Raises MigrationError where another may have the lock by the time a call made now ends."""
        if self._is_lost:
            raise MigrationError(
                "Another migration has taken the lock of these tables: this one stops. Resume it later."
            )
        if self._clock() > self._until - _MARGIN_SECONDS:
            raise MigrationError(
                "The lock of these tables could not be renewed in time: resume once they answer again."
            )

    def _take(self) -> None:
        try:
            self._put()
        except ConditionRefused as refusal:
            raise MigrationError(_taken(refusal.row or {})) from refusal
        except ApiError as error:
            raise MigrationError(f"The lock of the tables cannot be taken: {error.detail}") from error
        except (BotoCoreError, ClientError) as error:
            raise MigrationError(f"The lock of the tables cannot be taken. {explain(error)}") from error

    def _put(self) -> None:
        began = self._clock()
        self._manager.call(
            "put_item",
            TableName=self._manager.settings.users_table,
            Item=to_item({"user_id": LOCK_ID, "holder": self._holder, "lease_until": int(began) + LEASE_SECONDS}),
            ConditionExpression="attribute_not_exists(#user_id) OR #holder = :holder OR #lease_until < :now",
            ExpressionAttributeNames={"#user_id": "user_id", "#holder": "holder", "#lease_until": "lease_until"},
            ExpressionAttributeValues={":holder": to_attribute(self._holder), ":now": to_attribute(int(began))},
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        self._until = began + LEASE_SECONDS

    def _renew_until(self, ended: threading.Event) -> None:
        while not ended.wait(_RENEWAL_SECONDS):
            try:
                self._put()
            except ConditionRefused:
                self._is_lost = True
                return
            except (ApiError, BotoCoreError, ClientError):
                continue  # the next renewal may work; `check` stops the writing before the lease ends

    def _release(self) -> None:
        with suppress(ApiError, BotoCoreError, ClientError, ConditionRefused):  # it ends by itself
            self._manager.call("delete_item", **self._deletion())

    def _deletion(self) -> dict[str, Any]:
        return {
            "TableName": self._manager.settings.users_table,
            "Key": to_item({"user_id": LOCK_ID}),
            "ConditionExpression": "#holder = :holder",
            "ExpressionAttributeNames": {"#holder": "holder"},
            "ExpressionAttributeValues": {":holder": to_attribute(self._holder)},
        }


def _taken(row: dict[str, Any]) -> str:
    return (
        f"Another migration writes to these tables (run {row.get('holder', 'unknown')}): wait for it to end. One that "
        f"died gives way within {LEASE_SECONDS} s."
    )
