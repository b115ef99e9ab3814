"""What is to be gone on with: erasures and exports that are due, that a worker has left, or that nobody has begun."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from ..models.fields import parse_timestamp
from ..similarity.objects import ObjectStore
from ..tasks import Task
from .account_exports import ExportStore, pending_exports
from .erasing import SETTLE
from .erasure_status import ErasureStatus
from .erasures import ErasureStore, pending_erasures

_ASKED_WITHIN = timedelta(hours=1)
"""A marker is put before the status that it is of; one that is so old is of none."""

_LATE = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Resumption:
    """A task for the worker; `is_late` where somebody should see to it."""

    task: Task
    is_late: bool = False


def due_tasks(objects: ObjectStore, now: str) -> Iterator[Resumption]:
    """A task for each that is due. Raises what ObjectStore raises."""
    yield from _due_erasures(objects, now)
    yield from _due_exports(objects, now)


def _due_erasures(objects: ObjectStore, now: str) -> Iterator[Resumption]:
    for pending in pending_erasures(objects):
        task = {"task": "erase", "account": pending.account, "erasure_id": pending.erasure_id}
        status = ErasureStore(objects, pending.account).status()
        if status is not None and status.id == pending.erasure_id:
            if status.is_due(now) or not status.is_pending:
                yield Resumption(task, _is_late(status, now))
        elif (age := _age(pending.since, now)) > _ASKED_WITHIN:
            # The worker removes a marker of nothing; one that stays is of an erasure whose status cannot be read.
            yield Resumption(task, is_late=age > _LATE)


def _due_exports(objects: ObjectStore, now: str) -> Iterator[Resumption]:
    for pending in pending_exports(objects):
        task = {"task": "export", "owner": pending.user_id, "export_id": pending.export_id}
        status = ExportStore(objects, pending.user_id).status()
        if status is not None and status.id == pending.export_id:
            if status.is_due(now) or not status.is_pending:
                yield Resumption(task)
        elif _age(pending.since, now) > _ASKED_WITHIN:
            yield Resumption(task)


def _is_late(status: ErasureStatus, now: str) -> bool:
    """Whether a stage should have been done hours ago."""
    if not status.is_pending:
        return False
    if status.stage == "bury":
        return _age(status.requested_at, now) > _LATE
    return _age(status.final_pass_at, now) > SETTLE + _LATE


def _age(moment: str, now: str) -> timedelta:
    return parse_timestamp(now) - parse_timestamp(moment)
