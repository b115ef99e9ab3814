"""Embeddings of an account that is erased: every row of a model version's partition, by its key alone.

The key holds the owner, so that no batch can reach another's row. A row is first buried, as every delete does, so that
an index in memory learns of it; the tombstone goes once no such index can be left.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from ..models.fields import now, shifted
from . import conditions, writes
from .attributes import Row, from_item, to_item
from .batches import write_all
from .embeddings import TOMBSTONE_SECONDS, EmbeddingRepository, index_key
from .manager import DatabaseManager
from .pages import query_pages
from .writes import FIRST_VERSION

_PAGE_ROWS = 1000
_MICROSECOND = timedelta(microseconds=1)
_READ = ("product_id", "updated_at", "version", "deleted_at")


@dataclass(frozen=True, slots=True)
class FoundRow:
    """A row as far as its erasure has to know it."""

    product_id: str
    updated_at: str
    version: int
    is_live: bool


class EmbeddingEraser:
    """The partition of one model version of one owner. Raises Forbidden for an owner who cannot have any."""

    def __init__(self, manager: DatabaseManager, user_id: str, model_version: str) -> None:
        self._manager = manager
        self._table = manager.settings.embeddings_table
        self._user_id = user_id
        self._model_version = model_version
        self._owner_model = index_key(user_id, model_version)

    def pages(self, *, tombstones: bool) -> Iterator[list[FoundRow]]:
        """The rows, oldest change first, with the tombstones or without, as the index shows them."""
        owned = conditions.owned_by(self._user_id) | conditions.absent("user_id")
        wanted = owned if tombstones else owned & conditions.live()
        key = conditions.partition("owner_model", self._owner_model)
        names = {f"#{name}": name for name in _READ}
        used = key & wanted
        pages = query_pages(
            self._manager,
            TableName=self._table,
            IndexName=EmbeddingRepository.index,
            KeyConditionExpression=key.expression,
            FilterExpression=wanted.expression,
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames={**names, **used.names},
            ExpressionAttributeValues=used.values,
            Limit=_PAGE_ROWS,
        )
        for page in pages:
            yield [_to_found(from_item(item)) for item in page["Items"]]

    def bury(self, rows: Sequence[FoundRow], check: Callable[[], None]) -> None:
        """Put a tombstone in the place of each row, whatever is there by now. Raises as `batches.write_all`."""
        moment, expires_at = now(), int(time.time()) + TOMBSTONE_SECONDS
        items = [
            {
                **self._key(row),
                "user_id": self._user_id,
                "model_version": self._model_version,
                "updated_at": _after(row.updated_at, moment),
                "deleted_at": moment,
                "expires_at": expires_at,
                "version": row.version + 1,
            }
            for row in rows
        ]
        write_all(self._manager, self._table, [{"PutRequest": {"Item": to_item(item)}} for item in items], check)

    def remove(self, rows: Sequence[FoundRow], check: Callable[[], None]) -> None:
        """Delete the rows. Raises as `batches.write_all`."""
        requests = [{"DeleteRequest": {"Key": to_item(self._key(row))}} for row in rows]
        write_all(self._manager, self._table, requests, check)

    def _key(self, row: FoundRow) -> Row:
        return {"product_id": row.product_id, "owner_model": self._owner_model}


def _to_found(row: Row) -> FoundRow:
    version = row.get("version", FIRST_VERSION)
    return FoundRow(
        row["product_id"],
        row["updated_at"],
        version if isinstance(version, int) else FIRST_VERSION,
        writes.is_live(row),
    )


def _after(last: str, moment: str) -> str:
    """A time later than the row's, or an index in memory would keep the row; one that is no time counts as early."""
    try:
        return max(moment, shifted(last, _MICROSECOND))
    except (ValueError, OverflowError):
        return moment
