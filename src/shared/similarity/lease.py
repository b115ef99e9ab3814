"""Who builds the snapshot of a model version right now: an object that says until when, and others leave it to them.

Two builds at once would do no harm, as only one can publish; but each reads as much as the other.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..models.fields import parse_timestamp, timestamp
from .objects import ObjectChanged, ObjectStore, object_prefix

DURATION = timedelta(seconds=60)
"""How long a builder that has died keeps others waiting."""

Clock = Callable[[], datetime]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Lease:
    """The right to build, until `_until` unless it is renewed."""

    _objects: ObjectStore
    _key: str
    _etag: str
    _until: datetime
    _clock: Clock

    def renew(self) -> None:
        """Keep it, once half of the time is up. One that another took over meanwhile is theirs: both may go on."""
        if self._clock() < self._until - DURATION / 2:
            return
        try:
            until = self._clock() + DURATION
            self._etag = self._objects.put(self._key, _body(until), if_match=self._etag)
            self._until = until
        except ObjectChanged:
            self._until = datetime.max.replace(tzinfo=UTC)

    def release(self) -> None:
        """Let others build; a lease that was taken over is not this one's to end."""
        if self._until != datetime.max.replace(tzinfo=UTC):
            self._objects.delete([self._key])


def take_lease(objects: ObjectStore, owner: str, model_version: str, clock: Clock = _utc_now) -> Lease | None:
    """The lease, or None where another has it. Raises what ObjectStore raises."""
    key = f"{object_prefix(owner, model_version)}building.json"
    stored = objects.get(key)
    if stored is not None and clock() < _until(stored.body):
        return None
    until = clock() + DURATION
    try:
        etag = objects.put(key, _body(until), if_match=stored.etag if stored else None, if_absent=stored is None)
    except ObjectChanged:
        return None
    return Lease(objects, key, etag, until, clock)


def _body(until: datetime) -> bytes:
    return json.dumps({"until": timestamp(until)}).encode()


def _until(body: bytes) -> datetime:
    """What is damaged has run out."""
    try:
        return parse_timestamp(json.loads(body)["until"])
    except (ValueError, KeyError, TypeError):
        return datetime.min.replace(tzinfo=UTC)
