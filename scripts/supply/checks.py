"""How many things were looked at, and what was wrong with some of them."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Checks:
    made: int = 0
    faults: list[str] = field(default_factory=list)
    """Each says what is wrong, where, and what to do."""

    def hold(self, holds: bool, otherwise: str) -> None:
        self.made += 1
        if not holds:
            self.faults.append(otherwise)

    def add(self, others: "Iterable[Checks]") -> None:
        for other in others:
            self.made += other.made
            self.faults += other.faults
