"""The state of a long piece of work as one object, which every step replaces on the condition that nobody else has.

Whoever claims the work has it for CLAIM, longer than any worker may run: then the worker before is gone for certain,
and no two can be at it, however slow one of them is. Nothing has to give a sign of life.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from ..errors import OutcomeUnknown
from ..models.fields import parse_timestamp
from ..similarity.objects import ObjectChanged, ObjectStore
from ..telemetry import log_warning

CLAIM = timedelta(minutes=16)
"""The worker's own limit is 15 minutes."""

_TRIES = 5


class CorruptStatus(ValueError):
    """These bytes are no status of ours."""


class ClaimLost(Exception):
    """Another worker has the work, or it is over: this one has to end."""


class Status(Protocol):
    """What every status tells of who is at work."""

    @property
    def attempt(self) -> str | None:
        """The worker that has it, told from those that had it before; None where nobody has."""

    def to_bytes(self) -> bytes: ...


S = TypeVar("S", bound=Status)


@dataclass(frozen=True, slots=True)
class Read(Generic[S]):
    """What was read: None for a status that is not there, or cannot be read; an ETag where anything is there."""

    status: S | None
    etag: str | None


class StatusObject(Generic[S]):
    """One status. Every method raises what ObjectStore raises."""

    def __init__(self, objects: ObjectStore, key: str, parse: Callable[[bytes], S]) -> None:
        self.objects = objects
        self.key = key
        self._parse = parse

    def read(self) -> Read[S]:
        """The status as it stands. One that cannot be read is logged, and taken for none."""
        stored = self.objects.get(self.key)
        if stored is None:
            return Read(None, None)
        try:
            return Read(self._parse(stored.body), stored.etag)
        except CorruptStatus as error:
            log_warning("status_corrupt", kind=self.key.partition("/")[0], reason=str(error))
            return Read(None, stored.etag)

    def replace(self, status: S, etag: str | None) -> str | None:
        """Put it in the place of what has this ETag, or of nothing; the new ETag, None where another is there."""
        try:
            return self.objects.put(self.key, status.to_bytes(), if_match=etag, if_absent=etag is None)
        except ObjectChanged:
            return None

    def advance(self, status: S, etag: str, attempt: str | None) -> str:
        """Put the next status of work that the worker of this attempt has; the new ETag. Raises ClaimLost.

        The one before may be there by a put of this very attempt whose answer got lost: it is put over that.
        """
        for _ in range(_TRIES):
            try:
                return self.objects.put(self.key, status.to_bytes(), if_match=etag)
            except (ObjectChanged, OutcomeUnknown):
                read = self.read()
            if read.etag is None or read.status is None:
                raise ClaimLost
            if read.status == status:
                return read.etag
            if read.status.attempt is None or read.status.attempt != attempt:
                raise ClaimLost
            etag = read.etag
        raise OutcomeUnknown


def is_taken(claimed_at: str | None, now: str) -> bool:
    """Whether who claimed the work then may still be at it. A time of the future is of a clock that was wrong."""
    if claimed_at is None:
        return False
    return abs(parse_timestamp(now) - parse_timestamp(claimed_at)) <= CLAIM
