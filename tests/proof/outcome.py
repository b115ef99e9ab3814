"""What a suite is asked, and what it answers."""

import json
import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields


@dataclass(frozen=True, slots=True)
class Options:
    """`is_quick` asks for a part that takes seconds, for a gate; `seed` makes a run again what another was."""

    is_quick: bool
    seed: int

    def random(self, *names: object) -> random.Random:
        """A source of random numbers of its own for what `names` tell: alike in every run of this seed."""
        return random.Random("/".join(map(str, (self.seed, *names))))  # noqa: S311 - to be repeated, not to be secret


@dataclass(slots=True)
class Outcome:
    """What a suite did and found; the kinds of fault that it can inject are named at the start, each at zero."""

    cases: int = 0
    """Whatever the suite counts by: steps, histories, mutants."""

    unit: str = "cases"
    faults: Counter[str] = field(default_factory=Counter)
    """How often each kind fired. One that never did has shown nothing."""

    violations: list[str] = field(default_factory=list)
    """What was found, each with what repeats it."""

    figures: dict[str, str] = field(default_factory=dict)
    """What else was measured, with its unit."""

    @classmethod
    def of(cls, unit: str, faults: Iterable[str] = ()) -> "Outcome":
        return cls(unit=unit, faults=Counter(dict.fromkeys(faults, 0)))

    @property
    def idle(self) -> list[str]:
        """Kinds of fault that never fired."""
        return sorted(name for name, fired in self.faults.items() if not fired)

    @property
    def holds(self) -> bool:
        return self.cases > 0 and not self.violations and not self.idle

    def dumps(self) -> str:
        return json.dumps({member.name: getattr(self, member.name) for member in fields(self)})

    @classmethod
    def loads(cls, text: str) -> "Outcome":
        members = json.loads(text)
        return cls(**{**members, "faults": Counter(members["faults"])})
