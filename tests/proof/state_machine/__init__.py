"""Two tenants and an admin on every route, with faults, against a model in plain Python.

Hypothesis draws the steps (`surroundings.Machine` has all rules), on moto and on the embedded store. What is said of
rows, answers and pages is in the rules; `storage` has what is said of tables and bucket, `broken` what must be noticed.
"""

import logging
import tempfile
from pathlib import Path

from shared.http import ENDPOINTS

from ..outcome import Options, Outcome
from .broken import QUICK, VARIANTS, Broken
from .engine import NAMES, Engine, running
from .exploring import BROKE_OFF, complete, explore, find, missing
from .faults import KINDS
from .told import Tally

_LONG = {"moto": (34, 200), "ministack": (110, 200)}
_QUICK = {"moto": (3, 15), "ministack": (3, 15)}
"""Examples on each engine, and steps of each. A step takes moto twice the time, and it has the broken variants too."""

_FOUND_WITHIN = 300
"""Steps within which a broken variant has to be noticed."""


def prove(options: Options) -> Outcome:
    """Run the machine on both engines, then on each broken variant."""
    print(f"state-machine: seed {options.seed}")
    outcome = Outcome.of("steps", KINDS)
    logging.disable(logging.CRITICAL)  # a line for each request, and nobody who reads it
    for name in NAMES:
        _run(name, options, outcome)
    outcome.figures["routes"] = f"{len(ENDPOINTS)}, each with success on {' and '.join(NAMES)}"
    return outcome


def _run(name: str, options: Options, outcome: Outcome) -> None:
    tally = Tally()
    examples, steps = (_QUICK if options.is_quick else _LONG)[name]
    with tempfile.TemporaryDirectory() as folder, running(name, Path(folder)) as engine:
        explore(engine, tally, options.random(name).randrange(2**32), examples, steps)
        if not tally.found:
            complete(engine, tally, options.random(name, "complete"))
        if engine.is_in_process:
            _find_broken(engine, options, outcome)
    outcome.cases += tally.steps
    outcome.faults.update(tally.faults)
    repeated = f"(seed {options.seed}{', quick' if options.is_quick else ''})"
    outcome.violations += [f"{found} {repeated}" for found in tally.found[:1]]
    if not tally.found:
        outcome.violations += [f"{name}: {gap} {repeated}" for gap in missing(tally)]
    print(f"{name}: {tally.steps:,} steps, {len(tally.found)} violations", flush=True)
    outcome.figures[f"steps on {name}"] = f"{tally.steps:,} in {tally.examples} examples"
    outcome.figures[f"requests on {name}"] = f"{tally.asked.total():,}, {tally.answered.total():,} of them successful"


def _find_broken(engine: Engine, options: Options, outcome: Outcome) -> None:
    """Each must be noticed: a machine that sees nothing shows nothing."""
    variants = [variant for variant in VARIANTS if not options.is_quick or variant.name in QUICK]
    needed = [_steps_needed(engine, variant, options, outcome) for variant in variants]
    outcome.figures["broken variants noticed"] = (
        f"{sum(map(bool, needed))} of {len(variants)}, after {max(needed)} steps at most"
    )


def _steps_needed(engine: Engine, variant: Broken, options: Options, outcome: Outcome) -> int:
    """How many steps it took to notice; 0 where it was not."""
    tally = Tally()
    with variant.apply():
        found = find(engine, tally, options.random(variant.name), variant.rules, _FOUND_WITHIN, variant.fault)
    if found is None or BROKE_OFF in found:
        outcome.violations.append(f"not noticed within {_FOUND_WITHIN} steps: {variant.name} (seed {options.seed})")
        return 0
    return tally.steps
