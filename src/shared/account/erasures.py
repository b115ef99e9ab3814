"""The erasures of accounts: asked for, claimed by a worker, found again while they are pending."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from ..errors import Unavailable
from ..models import fields
from ..models.fields import timestamp
from ..similarity.objects import ObjectInfo, ObjectStore
from ..similarity.versions import erase_objects, erase_older_versions
from .erasure_status import ErasureStatus
from .places import PENDING_ERASURES, account_digest, erasure_key, pending_erasure_key
from .status_object import StatusObject

_TRIES = 5


class ErasureStore:
    """The erasure of one account, named by its digest. `clock` gives the time as `models.fields.now` does."""

    def __init__(self, objects: ObjectStore, account: str, *, clock: Callable[[], str] = fields.now) -> None:
        self.objects = objects
        self.account = account
        self.clock = clock
        self._object: StatusObject[ErasureStatus] = StatusObject(
            objects, erasure_key(account), ErasureStatus.from_bytes
        )

    @classmethod
    def of_user(cls, objects: ObjectStore, user_id: str, *, clock: Callable[[], str] = fields.now) -> "ErasureStore":
        return cls(objects, account_digest(user_id), clock=clock)

    def status(self) -> ErasureStatus | None:
        """The newest erasure; None where there was none within the last month."""
        return self._object.read().status

    def request(self, user_id: str, token_life: timedelta) -> ErasureStatus:
        """Ask for an erasure, and return it; the one that is pending, where one is.

        Raises Unavailable where that one is at its very end: it would leave what was stored a moment ago. Its marker is
        put first, so that none can be forgotten: a marker alone does no harm.
        """
        for _ in range(_TRIES):
            read = self._object.read()
            if read.status is not None and read.status.is_pending:
                if read.status.is_ending:
                    raise _ending()
                return read.status
            wanted = ErasureStatus.requested(fields.new_id(), user_id, self.clock(), token_life)
            self.objects.put(pending_erasure_key(self.account, wanted.id), b"")
            if self._object.replace(wanted, read.etag) is not None:
                return wanted
        raise Unavailable("The erasure is being asked for by many at once. Try again.")

    def claim(self, erasure_id: str) -> "ErasureClaim | None":
        """Go on with this erasure; None where it is not due, another worker has it, or there is another by now."""
        for _ in range(_TRIES):
            read, now = self._object.read(), self.clock()
            if read.status is None or read.status.id != erasure_id or not read.status.is_due(now):
                return None
            claimed = read.status.claimed(fields.new_id(), now)
            etag = self._object.replace(claimed, read.etag)
            if etag is not None:
                return ErasureClaim(self, claimed, etag)
        return None

    def is_over(self, erasure_id: str) -> bool:
        """Whether this erasure is done, or was never begun. One whose status cannot be read is not: it must be seen to
        by hand."""
        read = self._object.read()
        if read.status is None:
            return read.etag is None
        return read.status.id != erasure_id or not read.status.is_pending

    def advance(self, status: ErasureStatus, etag: str, attempt: str | None) -> str:
        """The next status of an erasure that a worker has; the new ETag. Raises ClaimLost."""
        return self._object.advance(status, etag, attempt)

    def tidy(self, erasure_id: str) -> None:
        """Remove the marker of an erasure that is over, and what older statuses told of the user."""
        erase_older_versions(self.objects, erasure_key(self.account))
        erase_objects(self.objects, pending_erasure_key(self.account, erasure_id), lambda: None)


def _ending() -> Unavailable:
    return Unavailable(
        "The erasure that was asked for before is about to end, and may leave what was stored just now. Ask again in a"
        " minute.",
        retry_after=60,
    )


@dataclass(slots=True)
class ErasureClaim:
    """An erasure that this worker has. Not for several threads."""

    store: ErasureStore
    status: ErasureStatus
    _etag: str

    def advance(self, status: ErasureStatus) -> None:
        """Keep this status. Raises ClaimLost."""
        self._etag = self.store.advance(status, self._etag, self.status.attempt)
        self.status = status


@dataclass(frozen=True, slots=True)
class PendingErasure:
    """A marker: of an erasure that is not done, or has just been, or was never begun."""

    account: str
    erasure_id: str
    since: str

    @classmethod
    def of(cls, info: ObjectInfo) -> "PendingErasure":
        account, _, erasure_id = info.key.removeprefix(PENDING_ERASURES).partition("/")
        return cls(account, erasure_id, timestamp(info.modified))


def pending_erasures(objects: ObjectStore) -> Iterator[PendingErasure]:
    """The markers that there are."""
    for info in objects.list(PENDING_ERASURES):
        yield PendingErasure.of(info)
