"""Snapshots of the model versions that were written to are discarded: searches then read the whole table again.

A search reads only what changed since its snapshot began, by `updated_at`; a migrated row keeps the time that it had,
which may be earlier.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from scripts.migration.failure import MigrationError
from shared.errors import ApiError
from shared.similarity.lease import DURATION, Lease, take_lease
from shared.similarity.objects import ObjectStore, object_prefix

_DISCARDED = ("manifest.json", "matrix/status.json")
_PAUSE_SECONDS = 1.0


def discard_snapshots(
    objects: ObjectStore,
    owner: str,
    model_version: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Delete what says which snapshot and matrix there are, until nobody can be building on what was read before.

    Raises MigrationError where the bucket does not answer, or somebody builds for longer than a lease lasts twice.
    """
    prefix = object_prefix(owner, model_version)
    keys = [prefix + name for name in _DISCARDED]
    try:
        objects.delete(keys)
        lease = _lease(objects, owner, model_version, sleep, clock)
        objects.delete(keys)
        lease.release()
    except ApiError as error:
        raise MigrationError(
            f"The snapshots of {model_version} of {owner} cannot be discarded ({error.detail}): resume, or searches "
            "may miss what was migrated for up to twelve hours."
        ) from error


def _lease(
    objects: ObjectStore, owner: str, model_version: str, sleep: Callable[[float], None], clock: Callable[[], datetime]
) -> Lease:
    """The right to build, which nobody else has then."""
    deadline = clock() + 2 * DURATION
    while clock() < deadline:
        lease = take_lease(objects, owner, model_version, is_full=True, clock=clock)
        if isinstance(lease, Lease):
            return lease
        sleep(_PAUSE_SECONDS)
    raise MigrationError(
        f"Somebody goes on building a snapshot of {model_version} of {owner}, so that it may lack what was migrated: "
        "resume, which discards it again."
    )
