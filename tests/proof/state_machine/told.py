"""What a run counts, and an answer as a rule takes it."""

import io
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.support.api import Answer


@dataclass
class Tally:
    """What was done over all examples of a run."""

    steps: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    asked: Counter[tuple[str, str]] = field(default_factory=Counter)
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Of these, those that succeeded."""

    rules: Counter[str] = field(default_factory=Counter)
    examples: int = 0
    wanted: str = ""
    """A kind of fault that the next steps meet, whatever the dice say; empty for none."""

    is_completing: bool = False

    found: list[str] = field(default_factory=list)
    """Violations, each with the steps before it."""


@dataclass(frozen=True)
class Told:
    """An answer, and how many tries of AWS calls a fault met on its way."""

    answer: Answer
    hits: int

    @property
    def status(self) -> int:
        return self.answer.status

    def json(self) -> Any:
        return self.answer.json()

    @property
    def problem(self) -> str:
        return str(self.json()["type"]).rpartition(":")[2] if self.status >= 400 else ""

    @property
    def is_refused(self) -> bool:
        """It failed, and nothing was changed."""
        return self.status == 429 or self.problem == "unavailable"

    @property
    def is_unknown(self) -> bool:
        return self.problem == "outcome-unknown"

    @property
    def has_failed(self) -> bool:
        return self.is_refused or self.is_unknown


def readable(answer: Answer) -> str:
    """All that the client gets, archives opened."""
    content = answer.content
    texts = [str(answer.headers), answer.text]
    if content[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            texts += [archive.read(name).decode("utf-8", "backslashreplace") for name in archive.namelist()]
    return "\n".join(texts)
