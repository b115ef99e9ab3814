"""Which tests come by which check: recorded once, as all tests run without a mutant.

The code that runs meanwhile says so itself at each check, exchanged as a mutant's is: that costs next to nothing, where
a tracer would double the time.
"""

import builtins
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .children import in_child
from .mutants import PROBE, Mutant, mutants_of, probed_code, source_of
from .session import Tests
from .swapping import Live

_RULES = "tests/security/test_rules.py"


@dataclass(frozen=True, slots=True)
class Reach:
    """What each test takes and comes by; tests that fail without any mutant can tell nothing."""

    seconds: dict[str, float]
    failures: dict[str, str]
    by_mutant: dict[str, list[str]]
    """The tests of rules first, which are there for it; then the most specific: those that come by few other checks, in
    little time."""

    def tests_of(self, mutant: Mutant) -> list[str]:
        """Those that come by the mutant's check."""
        return self.by_mutant.get(mutant.name, [])

    def files_of(self, module: str) -> list[str]:
        """The files of tests that come by any check of the module, those with the most such tests first."""
        found = [tests for name, tests in self.by_mutant.items() if name.startswith(f"{module}::")]
        files = [test.partition("::")[0] for test in {test for tests in found for test in tests}]
        return sorted(set(files), key=lambda file: (-files.count(file), file))


def record(tests: Tests, live: Live, modules: Sequence[str]) -> Reach:
    """Run all tests once, in a child. Raises RuntimeError where that breaks off."""
    names = list(tests.items)
    ended = in_child(lambda: _record(tests, names, live, modules))
    if ended.broke_off:
        raise RuntimeError(f"the recording of what tests reach broke off: {ended.said[-3000:]}")
    seconds, reached = ended.answer["seconds"], ended.answer["reached"]
    failures = {names[int(number)]: why for number, why in ended.answer["failures"].items()}

    def rank(number: int) -> tuple[bool, float]:
        return _RULES not in names[number], len(reached[number]) * (0.01 + seconds[number])

    ranked = sorted(range(len(names)), key=rank)
    by_mutant: dict[str, list[str]] = defaultdict(list)
    mutants = [mutant.name for module in modules for mutant in mutants_of(module, source_of(module))]
    for number in ranked:
        for mutant in reached[number] if names[number] not in failures else ():
            by_mutant[mutants[mutant]].append(names[number])
    return Reach(dict(zip(names, seconds, strict=True)), failures, by_mutant)


def _record(tests: Tests, names: Sequence[str], live: Live, modules: Sequence[str]) -> dict[str, Any]:
    """By numbers, of which there are millions: how long each test takes, why it fails, which mutants it comes by."""
    count = 0
    for module in modules:
        code, mutants = probed_code(module, count)
        count += len(mutants)
        live.exchange(code)
    reached: set[int] = set()
    setattr(builtins, PROBE, lambda *numbers: reached.update(numbers))
    seconds, failures, by_test = [], {}, []
    for number, test in enumerate(names):
        reached.clear()
        begun = time.perf_counter()
        why = tests.run(test)
        seconds.append(round(time.perf_counter() - begun, 4))
        by_test.append(sorted(reached))
        if why is not None:
            failures[number] = why[-2000:]
    return {"seconds": seconds, "failures": failures, "reached": by_test}
