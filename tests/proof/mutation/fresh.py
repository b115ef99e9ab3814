"""One mutant in a process of its own: `python -m tests.proof.mutation.fresh MUTANT FILE TEST...` writes what caught it.

For what a module does once, as it is imported, such as the settings of a model.
"""

import json
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

from . import scope
from .mutants import Mutant, code_of, mutant_named
from .session import Tests, with_tests


class _MutantLoader(SourceFileLoader):
    def __init__(self, name: str, mutant: Mutant) -> None:
        super().__init__(name, str(scope.SOURCE / mutant.module))
        self._mutant = mutant

    def get_code(self, fullname: str) -> CodeType:
        return code_of(self._mutant)


class _MutantFinder(MetaPathFinder):
    """Finds the mutant where its module is looked for."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = scope.import_name(mutant.module)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        assert spec is not None
        spec.loader = _MutantLoader(fullname, self._mutant)
        return spec


def main() -> None:
    name, file, *tests = sys.argv[1:]
    sys.meta_path.insert(0, _MutantFinder(mutant_named(name)))
    killers: list[str] = []

    def use(collected: Tests) -> None:
        killers.extend(test for test in collected.items if not killers and collected.run(test) is not None)

    errors = with_tests(tests, use)
    killer = killers[0] if killers else errors[0].partition(":")[0] if errors else None
    Path(file).write_text(json.dumps(killer), encoding="utf-8")


if __name__ == "__main__":
    main()
