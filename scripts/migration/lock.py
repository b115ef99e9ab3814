"""One runner at a time: a lock in the target itself, an item of the users table under a key that no user can have.

It is a lease: a runner that died keeps others out for LEASE_SECONDS. The run that a work file belongs to has a name of
its own, so that it can go on at once after it was killed, where its process was on this machine and is no more; a file
lock keeps two processes from the same work file, and a nonce of each process tells two of one name apart, as from a
copied folder. A lease that has lapsed in a process is never taken up again by it. The clocks of two machines may differ
by CLOCK_SKEW_SECONDS.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from scripts.deployment.failure import explain
from scripts.migration.calls import CONNECT_SECONDS, READ_SECONDS
from scripts.migration.failure import MigrationError
from shared.database.attributes import Row, to_attribute, to_item
from shared.database.conditions import Condition
from shared.database.failures import ConditionRefused
from shared.database.manager import DatabaseManager
from shared.errors import ApiError
from shared.models.fields import new_id
from shared.process import per_process

LOCK_ID = "#migration"
"""A token whose `sub` has a # is refused, and no owner of a row may have one."""

LEASE_SECONDS = 120
CLOCK_SKEW_SECONDS = 30
_RENEWAL_SECONDS = 15.0
_RESERVE_SECONDS = 10
MARGIN_SECONDS = CONNECT_SECONDS + READ_SECONDS + CLOCK_SKEW_SECONDS + _RESERVE_SECONDS
"""So much of the lease has to be left for a write to be sent: it is applied, or never, before another may begin."""


@per_process
def _process_nonce() -> str:
    return new_id()


class TargetLock:
    """The lock as one run holds it; `holder` is the run's own name."""

    def __init__(
        self,
        manager: DatabaseManager,
        holder: str,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        nonce: str | None = None,
    ) -> None:
        self._manager = manager
        self._holder = holder
        self._nonce = nonce or _process_nonce()
        self._clocks = (clock, monotonic)
        self._renewed: tuple[float, ...] = ()
        """What the clocks said when the last renewal was sent."""

        self._loss = ""
        """Why it is lost for good; empty while it is held."""

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
        if not self._loss and self._age() > LEASE_SECONDS - MARGIN_SECONDS:
            self._loss = "The lock of these tables could not be renewed in time: resume once they answer again."
        if self._loss:
            raise MigrationError(self._loss)

    def _age(self) -> float:
        """Seconds since the last renewal. While a machine sleeps one clock may stand still; the other can be set."""
        return max(clock() - then for clock, then in zip(self._clocks, self._renewed, strict=True))

    def _take(self) -> None:
        try:
            self._put(_free(self._clocks[0]()))
        except ConditionRefused as refusal:
            self._take_over(refusal.row or {})
        except ApiError as error:
            raise MigrationError(f"The lock of the tables cannot be taken: {error.detail}") from error
        except (BotoCoreError, ClientError) as error:
            raise MigrationError(f"The lock of the tables cannot be taken. {explain(error)}") from error

    def _take_over(self, row: Row) -> None:
        """Go on where this very run was killed, or its answer got lost. Raises MigrationError where it lives."""
        if row.get("holder") != self._holder or not (row.get("nonce") == self._nonce or _is_dead(row)):
            raise MigrationError(_taken(row))
        try:
            self._put(_held_by(self._holder, row["nonce"]))
        except ConditionRefused as refusal:
            raise MigrationError(_taken(refusal.row or {})) from refusal
        except (ApiError, BotoCoreError, ClientError) as error:
            raise MigrationError("The lock of the tables cannot be taken, as they do not answer: resume.") from error

    def _put(self, condition: Condition) -> None:
        now = tuple(clock() for clock in self._clocks)
        entry = {
            "user_id": LOCK_ID,
            "holder": self._holder,
            "nonce": self._nonce,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "lease_until": int(now[0]) + LEASE_SECONDS,
        }
        self._manager.call(
            "put_item",
            TableName=self._manager.settings.users_table,
            Item=to_item(entry),
            ConditionExpression=condition.expression,
            ExpressionAttributeNames=condition.names,
            ExpressionAttributeValues=condition.values,
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        self._renewed = now

    def _renew_until(self, ended: threading.Event) -> None:
        while not ended.wait(_RENEWAL_SECONDS):
            try:
                self.check()
                self._put(_held_by(self._holder, self._nonce))
            except MigrationError:
                return
            except ConditionRefused:
                self._loss = "Another migration has taken the lock of these tables: this one stops. Resume it later."
                return
            except (ApiError, BotoCoreError, ClientError):
                continue  # the next renewal may work; `check` stops the writing before the lease ends

    def _release(self) -> None:
        with suppress(ApiError, BotoCoreError, ClientError, ConditionRefused):  # it ends by itself
            self._manager.call("delete_item", **self._deletion())

    def _deletion(self) -> dict[str, Any]:
        condition = _held_by(self._holder, self._nonce)
        return {
            "TableName": self._manager.settings.users_table,
            "Key": to_item({"user_id": LOCK_ID}),
            "ConditionExpression": condition.expression,
            "ExpressionAttributeNames": condition.names,
            "ExpressionAttributeValues": condition.values,
        }


def _free(now: float) -> Condition:
    """There is no lock, or its lease has lapsed."""
    lapsed = "attribute_not_exists(#user_id) OR #lease_until < :now"
    names = {"#user_id": "user_id", "#lease_until": "lease_until"}
    return Condition(lapsed, names, {":now": to_attribute(int(now))})


def _held_by(holder: str, nonce: str) -> Condition:
    values = {":holder": to_attribute(holder), ":nonce": to_attribute(nonce)}
    return Condition("#holder = :holder AND #nonce = :nonce", {"#holder": "holder", "#nonce": "nonce"}, values)


def _is_dead(row: Row) -> bool:
    """Whether the process that has the lock was on this machine, and is no more."""
    return row.get("host") == socket.gethostname() and not _is_alive(int(row["pid"]))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # it is somebody else's
    return True


def _taken(row: Row) -> str:
    return (
        f"Another migration writes to these tables (run {row.get('holder', 'unknown')}): wait for it to end. One that "
        f"died gives way within {LEASE_SECONDS} s."
    )
