"""What one client knows of its rows: what it was told last, and what it was not told."""

from dataclasses import dataclass, field
from typing import Any

State = Any
"""What a row holds, as far as a client compares it; None where there is none."""


@dataclass(slots=True)
class Kept:
    """Rows by their path. A row that a request without an answer may have changed has two possible states."""

    rows: dict[str, tuple[State, ...]] = field(default_factory=dict)

    def told(self, path: str, state: State) -> None:
        self.rows[path] = (state,)

    def not_told(self, path: str, state: State) -> None:
        self.rows[path] = (*self.rows.get(path, (None,)), state)

    def allows(self, path: str, state: State) -> bool:
        return state in self.rows[path]

    def known(self, prefix: str) -> list[str]:
        """Paths of rows that are there for certain."""
        return [path for path, states in self.rows.items() if path.startswith(prefix) and None not in states]

    @property
    def open(self) -> int:
        return sum(len(states) > 1 for states in self.rows.values())
