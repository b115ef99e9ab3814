"""Who builds the snapshot of a model version right now: an object that says until when, and others leave it to them.

Two builds at once would do no harm, as only one can publish; but each reads as much as the other.
"""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ..errors import ApiError
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
    _is_full: bool
    _etag: str
    _until: datetime
    _clock: Clock

    def renew(self) -> None:
        """Keep it, once half of the time is up; where that fails, the next check tries again.

        One that another took over meanwhile is theirs, and both may go on.
        """
        if self._clock() < self._until - DURATION / 2:
            return
        until = self._clock() + DURATION
        with suppress(ApiError, ObjectChanged):
            self._etag = self._objects.put(self._key, _body(until, self._is_full), if_match=self._etag)
            self._until = until

    def release(self) -> None:
        """Let others build. One that has run out may be another's by now, and ends by itself."""
        if self._clock() < self._until:
            with suppress(ApiError):
                self._objects.delete([self._key])


@dataclass(frozen=True, slots=True)
class Taken:
    """Another has the lease; `is_full` tells what they build."""

    is_full: bool


def take_lease(
    objects: ObjectStore, owner: str, model_version: str, *, is_full: bool, clock: Clock = _utc_now
) -> Lease | Taken:
    """The lease, unless another has it. Raises what ObjectStore raises."""
    key = f"{object_prefix(owner, model_version)}building.json"
    stored = objects.get(key)
    held = None if stored is None else _read(stored.body)
    # One that claims more than its time is of a clock that was wrong.
    if held is not None and clock() < held.until <= clock() + DURATION:
        return Taken(held.is_full)
    until, etag = clock() + DURATION, stored.etag if stored else None
    try:
        etag = objects.put(key, _body(until, is_full), if_match=etag, if_absent=etag is None)
    except ObjectChanged:
        return Taken(is_full=False)  # by whoever was first just now; a full build asks again to be sure
    return Lease(objects, key, is_full, etag, until, clock)


@dataclass(frozen=True, slots=True)
class _Held:
    until: datetime
    is_full: bool


def _body(until: datetime, is_full: bool) -> bytes:
    return json.dumps({"until": timestamp(until), "full": is_full}).encode()


def _read(body: bytes) -> _Held | None:
    """None for what is damaged, which holds nobody off."""
    try:
        stated = json.loads(body)
        return _Held(parse_timestamp(stated["until"]), bool(stated["full"]))
    except (ValueError, KeyError, TypeError):
        return None
