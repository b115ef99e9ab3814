"""How many products a model version has, without reading their rows: a snapshot's ids, and what changed since."""

import numpy as np

from ..database.embeddings import EmbeddingRepository
from ..models.fields import parse_timestamp, timestamp
from .manifest import SegmentRef
from .objects import ObjectStore
from .segment import CorruptSegment
from .snapshot import OVERLAP, SnapshotStore


def count_products(objects: ObjectStore, repository: EmbeddingRepository, owner: str, model_version: str) -> int:
    """How many products there are, as fresh as the table's index is.

    What was stored since the last snapshot is read by its keys alone. Raises TooManyRequests or Unavailable.
    """
    store = SnapshotStore(objects, owner, model_version)
    manifest = store.read()
    ids: set[str] = set()
    since = None
    if manifest is not None and not manifest.skipped:  # what cannot be searched is a product all the same
        try:
            ids = {product_id for ref in manifest.segments for product_id in _live_ids(store, ref)}
            since = timestamp(parse_timestamp(manifest.watermark) - OVERLAP)
        except CorruptSegment as error:
            store.warn("a snapshot is ignored", reason=str(error))
            ids = set()
    for product_id, is_live in repository.changed_ids_since(owner, model_version, since):
        (ids.add if is_live else ids.discard)(product_id)
    return len(ids)


def _live_ids(store: SnapshotStore, ref: SegmentRef) -> list[str]:
    ids, dead = store.keys(ref).ids, ref.dead_rows
    return ids if dead is None else [ids[row] for row in np.flatnonzero(~dead).tolist()]
