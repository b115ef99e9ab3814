"""The suite's two ways: all mutants with whatever tests reach them, or some of them with the tests that are known."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from ..outcome import Options, Outcome
from . import ledger, reach, scope
from .children import Ended, in_child
from .hunting import Hunters
from .ledger import ANEW, Ledger
from .mutants import Mutant, all_mutants
from .session import Tests, settle, with_tests
from .swapping import Live

TESTS = ("tests/security", "tests/unit")
_ELSEWHERE = ("building", "client", "deployment", "description", "local", "migration", "proof", "test_imports.py")
"""Unit tests of other code than src, and those that start a process for each, where no mutant is."""

_SAMPLE = 40
_CONTROL = "nothing at all"
"""A kind of mutation for the hunters themselves: nothing is taken out, and no test may fail."""


def prove(options: Options) -> Outcome:
    outcome = Outcome.of("mutants", (*scope.JUDGED, _CONTROL))
    kinds = Counter(mutant.kind for mutant in all_mutants())
    outcome.figures["mutants of the code"] = ", ".join(f"{kind} {kinds[kind]:,}" for kind in scope.KINDS)
    outcome.figures["of these not hunted"] = f"{kinds.total() - sum(kinds[kind] for kind in scope.JUDGED):,}"
    mutants = [mutant for mutant in all_mutants() if mutant.kind in scope.JUDGED]
    known = ledger.read()
    if options.is_quick:
        outcome.violations += known.faults(mutants)
        _prove_some(outcome, _sample(options, mutants, known), known)
    else:
        _prove_all(outcome, mutants, known)
    return outcome


def _prove_some(outcome: Outcome, sample: Sequence[Mutant], known: Ledger) -> None:
    """These mutants again, each with the test that caught it before."""
    killers = {mutant.name: known.killers[mutant.name] for mutant in sample}

    def use(tests: Tests) -> None:
        hunters = Hunters(tests, _live(tests))
        _control(outcome, hunters, sample, killers)
        for mutant in sample:
            outcome.cases += 1
            outcome.faults[mutant.kind] += 1
            if hunters.killer_of(mutant, [killers[mutant.name]]) is None:
                outcome.violations.append(
                    f"{mutant.place}: {killers[mutant.name]} does not notice any more: {mutant.name}: {ANEW}"
                )

    outcome.violations += [f"cannot be collected: {error}" for error in with_tests(sorted(set(killers.values())), use)]


def _prove_all(outcome: Outcome, mutants: Sequence[Mutant], known: Ledger) -> None:
    """Every mutant, with the test that caught it before, or else with all that come by what was taken out."""

    def use(tests: Tests) -> None:
        live = _live(tests)
        hunters = Hunters(tests, live)
        reached = reach.record(tests, live, scope.modules())
        outcome.figures["tests"] = f"{len(reached.seconds):,}, which take {sum(reached.seconds.values()):.0f} s"
        outcome.violations += [
            f"{test} fails although nothing is taken out: {why}" for test, why in reached.failures.items()
        ]
        caught = _caught(hunters, reached, mutants, known)
        _control(outcome, hunters, mutants, caught)
        _count(outcome, mutants, caught, known)
        ledger.keep_killers(caught)

    outcome.violations += [f"cannot be collected: {error}" for error in with_tests(_paths(), use)]


def _caught(hunters: Hunters, reached: reach.Reach, mutants: Sequence[Mutant], known: Ledger) -> dict[str, str]:
    """The killer of each mutant that has one. As many are hunted at once as there are processors."""
    at_once = os.cpu_count() or 1

    def hunt(part: Sequence[Mutant]) -> dict[str, str | None]:
        return {mutant.name: _killer(hunters, reached, mutant, known) for mutant in part}

    def hunt_apart(number: int) -> Ended:
        return in_child(lambda: hunt(mutants[number::at_once]))

    with ThreadPoolExecutor(at_once) as pool:
        ended = list(pool.map(hunt_apart, range(at_once)))
    for part in ended:
        if part.broke_off:
            raise RuntimeError(f"a hunt broke off: {part.said[-3000:]}")
    return {name: killer for part in ended for name, killer in part.answer.items() if killer is not None}


def _killer(hunters: Hunters, reached: reach.Reach, mutant: Mutant, known: Ledger) -> str | None:
    before = known.killers.get(mutant.name)
    if before is not None and before not in reached.failures:
        killer = hunters.killer_of(mutant, [before])
        if killer is not None:
            return killer
    candidates = reached.tests_of(mutant) if mutant.is_of_function else reached.files_of(mutant.module)
    return hunters.killer_of(mutant, candidates)


def _count(outcome: Outcome, mutants: Sequence[Mutant], caught: Mapping[str, str], known: Ledger) -> None:
    for mutant in mutants:
        outcome.cases += 1
        outcome.faults[mutant.kind] += 1
        if mutant.name not in caught and mutant.name not in known.equivalents:
            outcome.violations.append(f"{mutant.place}: no test notices: {mutant.name}")
    outcome.violations += Ledger(caught, known.equivalents).stale_equivalents({mutant.name for mutant in mutants})
    outcome.figures["change nothing"] = f"{len(known.equivalents)}, each with its reason in equivalents.json"


def _control(outcome: Outcome, hunters: Hunters, mutants: Iterable[Mutant], killers: Mapping[str, str]) -> None:
    """The hunters' own mutant: with code exchanged for the same, every test that catches something must pass."""
    modules = sorted({mutant.module for mutant in mutants})
    tests = sorted(set(killers.values()))
    outcome.cases += 1
    outcome.faults[_CONTROL] += 1
    failing = hunters.failing_without_mutant(tests, modules)
    if failing is not None:
        outcome.violations.append(f"{failing} fails although nothing is taken out: what it catches means nothing")


def _live(tests: Tests) -> Live:
    tests.warm_up()
    live = Live()
    settle()
    return live


def _sample(options: Options, mutants: Sequence[Mutant], known: Ledger) -> list[Mutant]:
    """Some of each kind, those alone that take no process of their own."""
    fit = [mutant for mutant in mutants if mutant.is_of_function and mutant.name in known.killers]
    source = options.random("mutation")
    chosen: list[Mutant] = []
    for kind in scope.JUDGED:
        of_kind = [mutant for mutant in fit if mutant.kind == kind]
        chosen += source.sample(of_kind, min(len(of_kind), max(1, _SAMPLE * len(of_kind) // len(fit))))
    return chosen


def _paths() -> list[str]:
    root = scope.SOURCE.parent
    left_out = [f"--ignore={root / TESTS[1] / folder}" for folder in _ELSEWHERE]
    return [*(str(root / path) for path in TESTS), *left_out]
