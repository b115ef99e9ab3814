"""Hunting mutants: each in a child of a process that has all tests collected, until a test fails."""

import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from .children import in_child
from .mutants import Mutant, unchanged_code
from .session import ROOT, Tests
from .swapping import Live

TEST_SECONDS = 60.0
"""A test that takes so long has met a mutant that never ends; none takes a tenth of that by itself."""

HUNT_SECONDS = 60.0
"""Of the processor: how long tests are tried on one mutant."""


class Hunters:
    """The collected tests, and the functions to mutate. What a hunt does to either is gone with its child."""

    def __init__(self, tests: Tests, live: Live) -> None:
        self._tests = tests
        self._live = live

    def killer_of(self, mutant: Mutant, tests: Sequence[str]) -> str | None:
        """The first of the tests that fails on the mutant, by itself. Raises RuntimeError for one that changes nothing.

        One that fails only after the others had the mutant has met what they left behind.
        """
        if not mutant.is_of_function:
            return _killer_in_fresh_process(mutant, tests)
        while (failing := self._failing_on(mutant, tests)) is not None:
            if failing == tests[0] or self._failing_on(mutant, [failing]) is not None:
                return failing
            tests = tests[tests.index(failing) + 1 :]
        return None

    def _failing_on(self, mutant: Mutant, tests: Sequence[str]) -> str | None:
        return self._first_failing(tests, lambda: self._live.become(mutant), mutant.name)

    def failing_without_mutant(self, tests: Sequence[str], modules: Sequence[str]) -> str | None:
        """The first of the tests that fails although nothing is taken out; code has been exchanged all the same."""

        def exchange() -> int:
            return 1 + sum(self._live.exchange(unchanged_code(module)) for module in modules)

        return self._first_failing(tests, exchange, "the code as it is", math.inf)

    def _first_failing(
        self, tests: Sequence[str], change: Callable[[], int], what: str, seconds: float = HUNT_SECONDS
    ) -> str | None:
        known = [test for test in tests if test in self._tests.items]
        if not known:
            return None
        with TemporaryDirectory() as folder:
            running = Path(folder, "running")

            def work() -> str | None:
                if not change():
                    raise RuntimeError(f"{what} changes no function")
                return self._run(known, running, seconds)

            ended = in_child(work)
            if ended.took_too_long:
                return running.read_text(encoding="utf-8")
        if ended.broke_off:
            raise RuntimeError(f"{what}: {ended.said[-2000:]}")
        killer: str | None = ended.answer
        return killer

    def _run(self, tests: Sequence[str], running: Path, seconds: float) -> str | None:
        begun = time.process_time()
        for test in tests:
            running.write_text(test, encoding="utf-8")
            signal.setitimer(signal.ITIMER_REAL, TEST_SECONDS)
            if self._tests.run(test) is not None:
                return test
            if time.process_time() - begun > seconds:
                return None
        return None


def _killer_in_fresh_process(mutant: Mutant, tests: Sequence[str]) -> str | None:
    """What a module makes once, as it is imported, is made anew only where it is imported anew."""
    if not tests:
        return None
    with TemporaryDirectory() as folder:
        answer = Path(folder, "answer.json")
        command = [sys.executable, "-m", f"{__package__}.fresh", mutant.name, str(answer), *tests]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"{mutant.name}: {ended.stdout[-1000:]}{ended.stderr[-2000:]}")
        killer: str | None = json.loads(answer.read_text(encoding="utf-8"))
        return killer
