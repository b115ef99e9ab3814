"""What a history is like: how many clients, what they ask for, and how much goes wrong."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from .report import Kind

MOST_CLIENTS = 4
MIXED = {
    Kind.CREATE: 12,
    Kind.GET: 16,
    Kind.FAVORITES: 8,
    Kind.PATCH: 24,
    Kind.DELETE: 9,
    Kind.ADD: 18,
    Kind.REMOVE: 8,
    Kind.REPLACE: 6,
}
_CROWD = {Kind.CREATE: 3, Kind.GET: 12, Kind.PATCH: 36, Kind.ADD: 30, Kind.REMOVE: 8, Kind.REPLACE: 6}
"""All write one report: its register of writes is soon full of others'."""

CHURN = {Kind.CREATE: 24, Kind.GET: 16, Kind.PATCH: 24, Kind.DELETE: 20, Kind.ADD: 12, Kind.REMOVE: 4}
"""Reports go, and are made again."""

_TRUE = (timedelta(),)
_SKEWS = tuple(timedelta(milliseconds=milliseconds) for milliseconds in (0, -2_000, -1, 1, 300, 5_000))


@dataclass(frozen=True, slots=True)
class Shape:
    """`skews` are how far clocks may be from the true one. Where they are, no report is made again after a delete: an
    update that is under way could not tell the new one from the old (docs/PROOF.md)."""

    clients: int
    requests: int
    reports: int
    fault_chance: float
    kinds: Mapping[Kind, int]
    skews: Sequence[timedelta]
    opening: int
    """Requests of each client before a rest; none where all is done at once."""

    rest: timedelta
    """A minute makes old what is new before it."""

    longest_sleep: int
    """Turns of others while a client waits to try again."""

    @classmethod
    def draw(cls, source: random.Random, *, is_quick: bool = False) -> "Shape":
        kinds = source.choice((MIXED, MIXED, _CROWD, CHURN))
        skews = _TRUE if kinds is CHURN else source.choice((_TRUE, _SKEWS))
        requests = 5 if is_quick else source.randint(5, 8)
        return cls(
            clients=3 if is_quick else source.randint(3, MOST_CLIENTS),
            requests=requests,
            reports=2 if kinds is MIXED and not is_quick else 1,
            fault_chance=source.choice((0.1, 0.25, 0.5)),
            kinds=kinds,
            skews=skews,
            opening=source.choice((0, requests // 2)) if skews is _TRUE else requests // 2,
            rest=timedelta(minutes=source.choice((0, 1))),
            longest_sleep=source.choice((3, 12, 40)),
        )

    @classmethod
    def crowd(cls) -> "Shape":
        """Much writing of one report, no longer a new one, so that what seldom happens happens."""
        return cls(MOST_CLIENTS, 8, 1, 0.2, _CROWD, _TRUE, 1, timedelta(minutes=1), longest_sleep=80)

    @classmethod
    def faulty(cls, source: random.Random) -> "Shape":
        """A short history in which much goes wrong."""
        return replace(cls.draw(source, is_quick=True), fault_chance=0.5)

    @property
    def makes_again(self) -> bool:
        return self.skews is _TRUE

    def phases(self) -> list[tuple[int, Mapping[Kind, int]]]:
        """Requests of each client, and how many of each kind; one phase is over before the next begins."""
        first, second = self.kinds, self.kinds
        if not self.makes_again:
            first, second = self._without(Kind.DELETE), self._without(Kind.CREATE)
        return [(self.opening, first), (self.requests - self.opening, second)]

    def _without(self, left_out: Kind) -> Mapping[Kind, int]:
        return {kind: weight for kind, weight in self.kinds.items() if kind is not left_out}
