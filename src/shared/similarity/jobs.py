"""What the worker does: snapshots, and matrices of nearest neighbours. Each may be done twice, or begun and cut off."""

from collections.abc import Callable
from functools import partial

import numpy as np

from ..database.embeddings import EmbeddingRepository
from ..database.model_versions import ModelVersionRepository
from ..errors import ApiError, Unavailable
from .builder import SnapshotBuilder
from .lease import Taken, take_lease
from .manifest import Manifest, SegmentRef
from .matrix import MatrixStore
from .matrix_build import build
from .neighbours import Block
from .objects import ObjectStore
from .snapshot import SnapshotStore


class NoSuchModelVersion(LookupError):
    """The owner does not have it: their account was erased since the task was asked for."""


def refresh_snapshot(
    objects: ObjectStore,
    owner: str,
    model_version: str,
    *,
    full: bool = False,
    asked_at: str | None = None,
    check: Callable[[], None],
) -> None:
    """`build_snapshot`, unless somebody does so right now, or one was begun since this was asked for.

    Many processes find at the same time that a snapshot is due, and each asks. Raises Unavailable where a full one
    cannot begin yet, since only a lesser one is being built; Lambda tries again in a minute.
    """
    lease = take_lease(objects, owner, model_version, is_full=full)
    if isinstance(lease, Taken):
        if full and not lease.is_full:
            raise Unavailable("Another snapshot is being built.")
        return

    def check_and_renew() -> None:
        check()
        lease.renew()

    try:
        manifest = SnapshotStore(objects, owner, model_version).read()
        begun_at = None if manifest is None else manifest.complete_at if full else manifest.watermark
        if asked_at is None or begun_at is None or begun_at < asked_at:
            build_snapshot(objects, owner, model_version, full=full, check=check_and_renew)
    finally:
        lease.release()


def build_snapshot(
    objects: ObjectStore,
    owner: str,
    model_version: str,
    *,
    full: bool = False,
    check: Callable[[], None],
) -> Manifest | None:
    """Publish a snapshot, and delete what no snapshot has needed for long; None where another was published first.

    `check` may raise to end it. Raises NoSuchModelVersion.
    """
    dimension = ModelVersionRepository.dimension_of(owner, model_version)
    if dimension is None:
        raise NoSuchModelVersion
    store = SnapshotStore(objects, owner, model_version)
    changes = partial(EmbeddingRepository.changes_since, owner, model_version)
    manifest = SnapshotBuilder(store, changes, dimension, check=check).build(full=full)
    try:
        store.sweep()
    except ApiError as error:  # the next build's sweep finds the same
        store.warn("a sweep failed", exception=type(error).__name__)
    return manifest


def build_matrix(
    objects: ObjectStore, owner: str, model_version: str, *, build_id: str, check: Callable[[], None]
) -> None:
    """Build the matrix that was asked for under this id, unless another worker does or another build was asked for.

    Its rows are those of a snapshot made for it, read segment by segment. Raises what ends the build.
    """
    claim = MatrixStore(objects, owner, model_version).claim(build_id)
    if claim is None:
        return

    def check_and_beat() -> None:
        check()
        claim.beat()

    try:
        manifest = _newest_snapshot(objects, owner, model_version, check_and_beat)
    except ApiError as error:
        claim.fail(error.detail)
        raise
    store = SnapshotStore(objects, owner, model_version)
    blocks = [partial(_read_block, store, ref) for ref in manifest.segments]
    build(claim, blocks, watermark=manifest.watermark, newest=manifest.newest, check=check)


def _newest_snapshot(objects: ObjectStore, owner: str, model_version: str, check: Callable[[], None]) -> Manifest:
    """A snapshot of what is stored now; where another worker was faster with one, that one will do."""
    manifest = build_snapshot(objects, owner, model_version, check=check)
    manifest = manifest or SnapshotStore(objects, owner, model_version).read()
    if manifest is None:
        raise Unavailable("The products could not be read in one piece. Ask for the matrix again.")
    return manifest


def _read_block(store: SnapshotStore, ref: SegmentRef) -> Block:
    segment, dead = store.segment(ref), ref.dead_rows
    if dead is not None:
        segment = segment.select(np.flatnonzero(~dead))
    return Block(segment.ids, segment.vectors)
