"""Concurrent clients on a few reports, with faults: every history is one of reports that are changed one at a time.

Histories are simulated (`simulation`): one thread at a time, whose next a seed chooses wherever an AWS request is sent
or was applied, so that a seed repeats a history. In the long mode clients also run at once against a real engine
(`engine_run`). What each was told, and when, is checked for linearizability report by report (`history`, `checker`)
against what docs/API.md says of one client alone (`report`). Repositories that lack a rule must be caught (`broken`).
"""

import contextlib
import io
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.api import Api
from tests.support.environment import function_environment
from tests.support.tokens import TokenFactory

from ..outcome import Options, Outcome
from .broken import BROKEN, RARE
from .engine_run import engine_runs
from .faults import KINDS
from .findings import findings
from .history import History
from .shape import Shape
from .simulation import Simulator, simulator

_QUICK, _LONG = 40, 1_000
_WITH_ENGINE = 100
_TO_BE_CAUGHT_WITHIN = 100
"""Histories."""


def prove(options: Options) -> Outcome:
    outcome = Outcome.of("histories", KINDS)
    with _users() as users:
        with simulator(users) as simulated:
            _check_repository(simulated, options, outcome)
            _check_seed(simulated, options, outcome)
            _check_broken(simulated, options, outcome)
        if not options.is_quick:
            _check_engine(users, options, outcome)
    return outcome


def _check_repository(simulated: Simulator, options: Options, outcome: Outcome) -> None:
    calls = 0
    answers: Counter[str] = Counter()
    for number in range(_QUICK if options.is_quick else _LONG):
        history = _history(simulated, options, number)
        outcome.faults.update(history.fired)
        outcome.violations += [f"history {number} of seed {options.seed}: {found}" for found in findings(history)]
        answers.update(_told(history))
        calls += history.length
    outcome.cases += number + 1
    outcome.figures["requests"] = f"{calls:,} ({', '.join(f'{n:,} {told}' for told, n in answers.most_common())})"


def _history(simulated: Simulator, options: Options, *names: object) -> History:
    source = options.random("linearizability", *names)
    return simulated.run(source, Shape.draw(source, is_quick=options.is_quick))


def _told(history: History) -> Iterator[str]:
    for report in history.reports:
        for call in report.calls:
            yield "unanswered" if call.seen is None else call.seen.problem or "done"


def _check_seed(simulated: Simulator, options: Options, outcome: Outcome) -> None:
    """That a printed seed is worth something: the same one makes the same history."""
    first, second = (str(_history(simulated, options, 0)) for _ in range(2))
    if first != second:
        outcome.violations.append(f"seed {options.seed} makes one history now and another then")


def _check_broken(simulated: Simulator, options: Options, outcome: Outcome) -> None:
    within = {name: _caught_after(simulated, options, name) for name in BROKEN}
    for name, histories in within.items():
        if histories is None:
            outcome.violations.append(
                f"seed {options.seed}: none of {_TO_BE_CAUGHT_WITHIN} histories tells that {name}"
            )
    caught = ", ".join(f"{name} {histories}" for name, histories in within.items() if histories is not None)
    outcome.figures["broken on purpose, caught by which history"] = caught


def _caught_after(simulated: Simulator, options: Options, name: str) -> int | None:
    """How many histories it takes to see what a repository lacks."""
    for number in range(_TO_BE_CAUGHT_WITHIN):
        source = options.random("broken", name, number)
        shape = Shape.crowd() if name in RARE else Shape.faulty(source)
        with BROKEN[name]():
            history = simulated.run(source, shape)
        if findings(history):
            return number + 1
    return None


def _check_engine(users: tuple[Api, Api], options: Options, outcome: Outcome) -> None:
    lost = 0
    for number, history in enumerate(engine_runs(users, options, _WITH_ENGINE)):
        outcome.violations += [
            f"run {number} on an engine, seed {options.seed}: {found}" for found in findings(history)
        ]
        lost += history.lost
    outcome.cases += _WITH_ENGINE
    outcome.figures["of these, with threads at once on a real engine"] = f"{_WITH_ENGINE} ({lost:,} answers lost)"
    if not lost:
        outcome.violations.append("the proxy in front of the engine lost no answer")


@contextmanager
def _users() -> Iterator[tuple[Api, Api]]:
    """Two users whom the handlers believe, in a function's environment; what requests log is not shown."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()):
        for name, value in function_environment().items():
            patch.setitem(os.environ, name, value)
        tokens = TokenFactory()
        tokens.trust(patch)
        yield Api.as_user("alice", tokens), Api.as_user("bob", tokens)
