"""Two files beside this one: which test caught each mutant, written by a whole run; and mutants that change nothing.

Both are held to the mutants that the code has today, so that neither can go stale without a word.
"""

import ast
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from . import scope
from .mutants import Mutant

_KILLERS = Path(__file__).with_name("killers.json")
_EQUIVALENTS = Path(__file__).with_name("equivalents.json")
_ROOT = scope.SOURCE.parent
_SHORTEST_REASON = 20
ANEW = "`./scripts/prove.sh mutation` finds it anew, and keeps it"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of mutants, by their names: the test that caught each, or why none can."""

    killers: Mapping[str, str]
    equivalents: Mapping[str, str]

    def faults(self, mutants: Iterable[Mutant]) -> list[str]:
        """What is wrong with the files, without running anything."""
        places = {mutant.name: mutant.place for mutant in mutants}
        unknown = places.keys() - self.killers.keys() - self.equivalents.keys()
        gone = self.killers.keys() - places.keys()
        lost = [(name, test) for name, test in self.killers.items() if not _is_there(test)]
        return [
            *(f"{places[name]}: nothing is known of the mutant {name}: {ANEW}" for name in sorted(unknown)),
            *(f"killers.json has a mutant that is none (any more): {name}: {ANEW}" for name in sorted(gone)),
            *(f"{test}, which caught {name}, is not there (any more): {ANEW}" for name, test in lost),
            *self.stale_equivalents(places),
        ]

    def stale_equivalents(self, names: Collection[str]) -> list[str]:
        """What is wrong with the mutants that are said to change nothing, of those that there are by these names."""
        stated = self.equivalents
        return [
            *(f"equivalents.json has a mutant that is none (any more): {name}" for name in stated if name not in names),
            *(
                f"equivalents.json has {name}, and {self.killers[name]} notices it"
                for name in stated
                if name in self.killers
            ),
            *(
                f"equivalents.json gives no reason for {name}"
                for name, why in stated.items()
                if len(why) < _SHORTEST_REASON
            ),
        ]


def read() -> Ledger:
    return Ledger(_flat(_KILLERS), _flat(_EQUIVALENTS))


def keep_killers(killers: Mapping[str, str]) -> None:
    """Write which test caught which mutant: by module and function, in order, so that a change is a small one."""
    nested: dict[str, dict[str, dict[str, str]]] = {}
    for name, test in sorted(killers.items()):
        module, function, change = name.split("::", 2)
        nested.setdefault(module, {}).setdefault(function, {})[change] = test
    _KILLERS.write_text(json.dumps(nested, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _flat(file: Path) -> dict[str, str]:
    nested = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return {
        f"{module}::{function}::{change}": value
        for module, functions in nested.items()
        for function, changes in functions.items()
        for change, value in changes.items()
    }


def _is_there(test: str) -> bool:
    """Whether the test's function is in its file; its parameters are told by running it."""
    file, *names = test.partition("[")[0].split("::")
    return names[-1] in _functions_of(file)


@lru_cache
def _functions_of(file: str) -> frozenset[str]:
    path = _ROOT / file
    if not path.exists():
        return frozenset()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
