"""How many products a model version has, without reading their rows: a snapshot's ids, and what changed since."""

import numpy as np

from ..database.embeddings import EmbeddingRepository
from .asking import SNAPSHOT_ROWS, default_asker
from .manifest import SegmentRef
from .objects import ObjectStore
from .segment import CorruptSegment
from .snapshot import SnapshotStore, reread_from


def count_products(objects: ObjectStore, repository: EmbeddingRepository, owner: str, model_version: str) -> int:
    """How many products there are, as fresh as the table's index is; one of another origin, whose vector cannot be
    searched, may not count.

    Where much was stored since the last snapshot, the next one is asked for. Raises TooManyRequests or Unavailable.
    """
    ids, since = _ids_of_snapshot(SnapshotStore(objects, owner, model_version))
    for number, (product_id, is_live) in enumerate(repository.changed_ids_since(owner, model_version, since), 1):
        (ids.add if is_live else ids.discard)(product_id)
        if number == SNAPSHOT_ROWS:  # at once: there may be no time for it after the last row
            default_asker().ask((owner, model_version))
    return len(ids)


def _ids_of_snapshot(store: SnapshotStore) -> tuple[set[str], str | None]:
    """The products of the newest snapshot, and from when on changes have to be read (None: all of them)."""
    manifest = store.read()
    if manifest is None:
        return set(), None
    try:
        ids = {product_id for ref in manifest.segments for product_id in _live_ids(store, ref)}
    except CorruptSegment as error:
        store.warn("a snapshot is ignored", reason=str(error))
        return set(), None
    return ids, reread_from(manifest.watermark)


def _live_ids(store: SnapshotStore, ref: SegmentRef) -> list[str]:
    ids, dead = store.keys(ref).ids, ref.dead_rows
    return ids if dead is None else [ids[row] for row in np.flatnonzero(~dead).tolist()]
