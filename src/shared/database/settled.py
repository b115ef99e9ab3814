"""What a process remembers of the model versions that it has read, for a while.

A declaration never changes as long as its owner stays; the erasure of an account takes it away. So that a warm process
does not go on with one that is gone, each is read anew after SETTLED_SECONDS, which an erasure waits for
(`shared.account.erasing`): no request asks whether its caller is being erased.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

SETTLED_SECONDS = 300.0
_MAX_SETTLED = 10_000

Fact = tuple[str, str]
"""Owner and model version."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """The dimension of a model version's vectors, and when it was declared: after an erasure it may be so anew."""

    dimension: int
    declared_at: str = ""
    """Empty where the row, of another origin, does not say."""


class Settled:
    """Declarations by owner and model version. `clock` is the wall's, since Lambda freezes a process between requests;
    one that was set back makes a declaration be read anew."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._kept: dict[Fact, tuple[Declaration, float]] = {}

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, fact: Fact) -> Declaration | None:
        """The declaration, unless it was read too long ago."""
        declaration, read_at = self._kept.get(fact, (None, 0.0))
        return declaration if 0 <= self._clock() - read_at < SETTLED_SECONDS else None

    def keep(self, fact: Fact, declaration: Declaration, read_at: float) -> None:
        """Remember what was read by a call that began at `read_at`."""
        if len(self._kept) >= _MAX_SETTLED:
            self._kept.clear()
        self._kept[fact] = (declaration, read_at)

    def now(self) -> float:
        return self._clock()

    def clear(self) -> None:
        self._kept.clear()
