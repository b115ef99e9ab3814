"""The suite: every scenario undisturbed, then with a death at each call, then with two; then what has to be seen."""

import os
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from random import Random

from scripts.building.swagger_ui import ensure_swagger_ui

from ..outcome import Options, Outcome
from .broken import BROKEN, Broken
from .coverage import functions, routes, tasks, uncovered
from .deaths import MOMENTS, Death
from .requests import scenarios_of_requests
from .routes import scenarios_of_cases
from .running import Run, Stage, Stages, State, differences, excused, states
from .scenario import Scenario
from .tasks import scenarios_of_tasks
from .world import World, a_world

_FAULTS = ("before a call", "after a call", "in a thread of a batch", "second death")
_FEW_CALLS = 8
_PAIRS_OF_MANY = 24
_QUICK_POINTS = 3
_QUICK_POINTS_OF_MANY = 2
_QUICK_PAIRS_OF = 3
"""One of so many scenarios is tried with two deaths in quick mode."""


def prove(options: Options) -> Outcome:
    sys.path.append(str(ensure_swagger_ui()))  # as a layer is on a function's path
    outcome = Outcome.of("crash points", _FAULTS)
    scenarios = [*scenarios_of_cases(), *scenarios_of_requests(), *scenarios_of_tasks()]
    outcome.violations += uncovered(scenarios)
    with open(os.devnull, "w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), a_world() as world:
        suite = _Suite(options, outcome, world)
        for scenario in scenarios:
            suite.try_scenario(scenario)
        by_name = {scenario.name: scenario for scenario in scenarios}
        for broken in BROKEN:
            suite.try_broken(broken, by_name[broken.scenario])
    outcome.figures |= suite.figures(scenarios)
    return outcome


class _Suite:
    """One run of the suite."""

    def __init__(self, options: Options, outcome: Outcome, world: World) -> None:
        self._options = options
        self._outcome = outcome
        self._stages = Stages(world)
        self._calls = 0
        self._seen = 0
        self._excused: Counter[str] = Counter()

    def figures(self, scenarios: Sequence[Scenario]) -> dict[str, str]:
        excuses = {f"left over, {reason}": f"{count} times" for reason, count in sorted(self._excused.items())}
        covered = f"{len(routes())} routes, {len(tasks())} tasks of the worker, {len([*functions()])} functions more"
        return {
            "covered": covered,
            "scenarios": f"{len(scenarios)} with {self._calls} AWS calls undisturbed",
            "broken variants seen": f"{self._seen} of {len(BROKEN)}",
            **excuses,
        }

    def try_scenario(self, scenario: Scenario) -> None:
        trial = _Trial(self._stages.set_up(scenario), self._outcome)
        self._calls += len(trial.expected.calls)
        random = self._options.random("crash-points", scenario.name)
        for point in self._points(len(trial.expected.calls), random, goes_on=scenario.goes_on):
            trial.die(point)
        for first, second in self._pairs(len(trial.expected.calls), random):
            trial.die(first, second)
        self._excused += trial.excused

    def try_broken(self, broken: Broken, scenario: Scenario) -> None:
        """A case; it is a violation where no single death shows what is wrong."""
        self._outcome.cases += 1
        with broken.variant():
            stage = self._stages.set_up(scenario)
            expected = stage.run()
            points = [
                point
                for point in _all_points(len(expected.calls))
                if broken.operation in (None, expected.calls[point.call - 1])
            ]
            self._options.random("crash-points", broken.name).shuffle(points)
            is_seen = any(differences(expected, stage.run(point), scenario) for point in points)
            if is_seen and expected.failure is None:  # one that fails by itself would show nothing of deaths
                self._seen += 1
            else:
                self._outcome.violations.append(f"it does not see that {broken.name}, by {scenario.name!r}")

    def _points(self, calls: int, random: Random, *, goes_on: bool) -> list[Death]:
        """Deaths to try one by one; few of them, in quick mode, where much goes on after each."""
        points = _all_points(calls)
        if not self._options.is_quick:
            return points
        is_short = calls <= _FEW_CALLS and not goes_on
        return random.sample(points, min(_QUICK_POINTS if is_short else _QUICK_POINTS_OF_MANY, len(points)))

    def _pairs(self, calls: int, random: Random) -> list[tuple[Death, Death]]:
        """Two deaths, the second counted from the first: each at every call, where these are few."""
        places = [(first, second) for first in range(1, calls + 1) for second in range(1, calls + 1)]
        if self._options.is_quick:
            places = random.sample(places, 1) if places and not random.randrange(_QUICK_PAIRS_OF) else []
        elif calls > _FEW_CALLS:
            places = random.sample(places, min(_PAIRS_OF_MANY, len(places)))
        return [(Death(one, random.choice(MOMENTS)), Death(other, random.choice(MOMENTS))) for one, other in places]


class _Trial:
    """One scenario, and what its undisturbed run came to."""

    def __init__(self, stage: Stage, outcome: Outcome) -> None:
        self._stage = stage
        self._scenario = stage.scenario
        self._outcome = outcome
        self.expected = stage.run()
        self._expected_next: State | None = None
        self.excused: Counter[str] = Counter()
        if self.expected.failure is not None:
            self._report("undisturbed", [self.expected.failure])

    def die(self, *deaths: Death) -> None:
        """A crash point; none where the run, whose threads take turns as they like, has fewer calls this time."""
        found = self._stage.run(*deaths)
        if not found.fired:
            return
        self._count(found)
        told = " and ".join(map(str, found.fired))
        self._report(told, differences(self.expected, found, self._scenario))
        excuses = excused(self.expected.state, found.state)
        self.excused += excuses
        if excuses and self._scenario.next_use is not None:
            self._report(f"{told}, and then used again", self._left_after_next_use())

    def _count(self, found: Run) -> None:
        self._outcome.cases += 1
        for fired in found.fired:
            self._outcome.faults[f"{fired.death.moment} a call"] += 1
            self._outcome.faults["in a thread of a batch"] += fired.is_of_a_thread
        self._outcome.faults["second death"] += len(found.fired) > 1

    def _left_after_next_use(self) -> list[str]:
        """What a further use leaves of what the dead left, which must be nothing."""
        found = self._stage.state_after_next_use()
        if self._expected_next is None:
            self._stage.run()
            self._expected_next = self._stage.state_after_next_use()
        left = [f"still there: {reason}" for reason in excused(self._expected_next, found)]
        return left + states(self._expected_next, found)

    def _report(self, when: str, found: Sequence[str]) -> None:
        self._outcome.violations += [f"{self._scenario.name}: {when}: {what}" for what in found]


def _all_points(calls: int) -> list[Death]:
    return [Death(call, moment) for call in range(1, calls + 1) for moment in MOMENTS]
