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
from .mutants import PROBE, Mutant, probed_code
from .session import Tests
from .swapping import Live


@dataclass(frozen=True, slots=True)
class Reach:
    """What each test takes and comes by; tests that fail without any mutant can tell nothing."""

    seconds: dict[str, float]
    failures: dict[str, str]
    by_mutant: dict[str, list[str]]
    """The most specific first: those that come by few other checks, and take little time."""

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
    ended = in_child(lambda: _record(tests, live, modules))
    if ended.broke_off:
        raise RuntimeError(f"the recording of what tests reach broke off: {ended.said[-3000:]}")
    seconds, failures = ended.answer["seconds"], ended.answer["failures"]
    reached: dict[str, list[str]] = ended.answer["reached"]
    by_mutant: dict[str, list[str]] = defaultdict(list)
    for test in sorted(reached, key=lambda test: (len(reached[test]) * (0.01 + seconds[test]), test)):
        for name in reached[test] if test not in failures else ():
            by_mutant[name].append(test)
    return Reach(seconds, failures, by_mutant)


def _record(tests: Tests, live: Live, modules: Sequence[str]) -> dict[str, Any]:
    mutants: list[Mutant] = []
    for module in modules:
        code, found = probed_code(module, len(mutants))
        mutants += found
        live.exchange(code)
    reached: set[int] = set()
    setattr(builtins, PROBE, lambda *numbers: reached.update(numbers))
    by_test, seconds, failures = {}, {}, {}
    for test in tests.items:
        reached.clear()
        begun = time.perf_counter()
        why = tests.run(test)
        seconds[test] = round(time.perf_counter() - begun, 4)
        by_test[test] = [mutants[number].name for number in sorted(reached)]
        if why is not None:
            failures[test] = why[-2000:]
    return {"seconds": seconds, "failures": failures, "reached": by_test}
