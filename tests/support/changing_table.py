"""The rows of one model version as an index shows them: late by up to OVERLAP, page by page, while others write."""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.database.index_rows import IndexRow
from shared.models.fields import timestamp
from shared.similarity.snapshot import OVERLAP

DIMENSION = 2
START = datetime(2026, 1, 1, tzinfo=UTC)
PAGE_ROWS = 5


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_by(self, **units: float) -> None:
        self.now += timedelta(**units)


@dataclass(frozen=True)
class Version:
    """One state of a product; `shown_at` is when the index has it."""

    row: IndexRow
    written_at: datetime
    shown_at: datetime


@dataclass
class ChangingTable:
    """`between` is called before each page is read: what it writes is there or not, as the lag has it."""

    clock: Clock
    lag: Callable[[], timedelta] = timedelta
    """How long the index takes to show a write."""
    staleness: Callable[[], timedelta] = timedelta
    """How old the copy of the index is that answers a read; with the lag at most OVERLAP."""
    between: Callable[[], None] = lambda: None
    versions: dict[str, list[Version]] = field(default_factory=dict)
    writes: int = 0

    def put(self, product_id: str, *, late: timedelta | None = None) -> IndexRow:
        self.writes += 1
        vector = struct.pack("<2f", 1.0, self.writes)
        return self._write(product_id, vector, {"write": self.writes}, late)

    def put_vector(self, product_id: str, vector: bytes) -> IndexRow:
        return self._write(product_id, vector, {}, None)

    def delete(self, product_id: str, *, late: timedelta | None = None) -> IndexRow:
        return self._write(product_id, None, {}, late)

    def expire(self, product_id: str) -> None:
        """Its row is gone, as that of a deletion after seven days."""
        del self.versions[product_id]

    def changes(self, since: str | None) -> Iterator[list[IndexRow]]:
        """What `SnapshotBuilder` is given."""
        position = (since or "", "")
        while True:
            self.between()
            shown = sorted((row.updated_at, row.product_id, row) for row in self.shown() if _place(row) > position)
            page = [row for _, _, row in shown[:PAGE_ROWS]]
            yield page
            if len(shown) <= PAGE_ROWS:
                return
            position = _place(page[-1])

    def shown(self) -> list[IndexRow]:
        """What a read of the index gives of each product: the newest version that has come so far."""
        moment = self.clock.now - self.staleness()
        come = [[version for version in versions if version.shown_at <= moment] for versions in self.versions.values()]
        return [versions[-1].row for versions in come if versions]

    def settled(self, versions: list[Version]) -> list[Version]:
        """The versions that may be the answer now: the newest that everybody must know, and any after it."""
        known = [version for version in versions if version.written_at <= self.clock.now - OVERLAP]
        return [*known[-1:], *(version for version in versions if version not in known)]

    def _write(
        self, product_id: str, vector: bytes | None, product: dict[str, int], late: timedelta | None
    ) -> IndexRow:
        self.clock.pass_by(microseconds=1)
        moment = self.clock.now
        row = IndexRow(product_id, timestamp(moment), vector, product)
        before = self.versions.setdefault(product_id, [])
        # The index takes the writes of one row in their order.
        shown_at = max([moment + (self.lag() if late is None else late), *(version.shown_at for version in before)])
        before.append(Version(row, moment, shown_at))
        return row


def random_delay(source: random.Random, share: float = 1.0) -> Callable[[], timedelta]:
    """Often none, sometimes as much as may be, which is this share of OVERLAP."""
    return lambda: OVERLAP * share * source.choice([0.0, 0.0, source.random(), 1.0])


def _place(row: IndexRow) -> tuple[str, str]:
    return (row.updated_at, row.product_id)
