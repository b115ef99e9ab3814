"""Running the machine: by Hypothesis, and rule by rule where something is still missing or is to be found soon."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis.stateful import run_state_machine_as_test

from tests.support.api import all_endpoints

from .engine import Engine
from .faults import BROKEN_OFF, KINDS, LAG, RESTART, TWICE
from .surroundings import Machine
from .told import Tally

_ROUNDS = 8
"""Of all rules; what has not happened after so many is a violation."""

BROKE_OFF = "the machine broke off"
"""What is said of an end outside of any step: nothing that was noticed."""

_OF_WORKERS = ("request_matrix", "export_account")
_FIRING = {BROKEN_OFF: _OF_WORKERS, TWICE: _OF_WORKERS, LAG: ("index_lags",), RESTART: ("restart",)}
"""Rules in which a fault is met that is none of requests; those of requests are met in any."""

_QUICKLY_FOUND = 0.6
"""How often a variant's own rules are chosen."""


def machine_of(engine: Engine, tally: Tally) -> type[Machine]:
    return type("TwoTenants", (Machine,), {"engine": engine, "tally": tally})


def explore(engine: Engine, tally: Tally, seed: int, examples: int, steps: int) -> None:
    """Let Hypothesis run so many examples of so many steps, or until it finds a violation (see `tally.found`)."""
    settings = hypothesis.settings(
        max_examples=examples,
        stateful_step_count=steps,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        suppress_health_check=list(HealthCheck),
    )
    with _noted(engine, tally):
        run_state_machine_as_test(hypothesis.seed(seed)(machine_of(engine, tally)), settings=settings)


@contextmanager
def _noted(engine: Engine, tally: Tally) -> Iterator[None]:
    """Every end of the block but a good one is a violation; a step has told its own."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - told
        if not tally.found:
            tally.found.append(f"{engine.name}: {BROKE_OFF}: {error!r}")


def complete(engine: Engine, tally: Tally, dice: random.Random) -> None:
    """Run all rules, those first that never ran, again and again, until every route has succeeded and every fault has
    fired."""
    tally.is_completing = True
    with _noted(engine, tally):
        machine = machine_of(engine, tally)()
        try:
            rules = _shuffled(machine, dice)
            rules.sort(key=lambda rule: tally.rules[rule.function.__name__] > 0)
            for rule in rules * _ROUNDS:
                _fire(machine, tally, dice)
                if not missing(tally):
                    return
                rule.function(machine, dice=_dice(dice))
        finally:
            tally.wanted, tally.is_completing = "", False
            machine.teardown()


def _fire(machine: Machine, tally: Tally, dice: random.Random) -> None:
    """Run a rule that is likely to meet a kind of fault which has not fired yet."""
    tally.wanted = next((kind for kind in KINDS if not tally.faults[kind]), "")
    if tally.wanted:
        names = _FIRING.get(tally.wanted, ("update_report",))
        rule = dice.choice([rule for rule in machine.rules if rule.function.__name__ in names])
        rule.function(machine, dice=_dice(dice))
        tally.wanted = ""


def missing(tally: Tally) -> list[str]:
    """What would make a run show less than it says."""
    routes = [
        f"{method} {path} never succeeded" for method, path in all_endpoints() if not tally.answered[method, path]
    ]
    return [*routes, *(f"the fault {kind!r} never fired" for kind in KINDS if not tally.faults[kind])]


def find(
    engine: Engine, tally: Tally, dice: random.Random, often: Sequence[str], steps: int, fault: str = ""
) -> str | None:
    """What is found within so many steps, in which these rules, and this fault, come often; None where nothing is."""
    with _noted(engine, tally):
        machine = machine_of(engine, tally)()
        rules = _shuffled(machine, dice)
        own = [rule for name in often for rule in rules if rule.function.__name__ == name]
        try:
            for _ in range(steps):
                is_own = dice.random() < _QUICKLY_FOUND
                chosen, tally.wanted = (own, fault) if is_own else (rules, "")
                dice.choice(chosen).function(machine, dice=_dice(dice))
        finally:
            machine.teardown()
    return tally.found[0] if tally.found else None


def _shuffled(machine: Machine, dice: random.Random) -> list[hypothesis.stateful.Rule]:
    rules = sorted(machine.rules, key=lambda rule: rule.function.__name__)
    return dice.sample(rules, len(rules))


def _dice(dice: random.Random) -> random.Random:
    return random.Random(dice.randrange(2**64))  # noqa: S311 - to be repeated, not to be secret
