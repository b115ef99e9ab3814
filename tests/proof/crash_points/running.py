"""Running a scenario, undisturbed or with deaths, and comparing what came of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from .answers import Seen
from .canonical import canonical
from .deaths import Death, Fired
from .engine import Saved
from .leftovers import UPLOAD, excuse_of_another, gives_up_uploads, unnamed
from .scenario import Act, Scenario
from .state import erased, object_text, row_text
from .world import World

_TOLD_CHARACTERS = 700


@dataclass(frozen=True, slots=True)
class State:
    """What is stored, canonically, without what is `left`: how often, by the reason that excuses it."""

    texts: Counter[str]
    left: Counter[str]
    erased: Counter[str]
    """What erasures say that they have erased."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run came to."""

    answers: tuple[Seen, ...]
    state: State
    calls: tuple[str, ...]
    fired: tuple[Fired, ...]
    failure: str | None = None


class Stages:
    """Sets scenarios up, each from nothing, and those alike once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._beginning = world.engine.save(), world.clock.moment
        self._prepared: dict[Act, tuple[Saved, datetime]] = {}

    def set_up(self, scenario: Scenario) -> "Stage":
        if scenario.prepare not in self._prepared:
            self._world.bring_back(*self._beginning)
            scenario.prepare(self._world)
            self._prepared[scenario.prepare] = self._world.engine.save(), self._world.clock.moment
        return Stage(self._world, scenario, *self._prepared[scenario.prepare])


@dataclass(frozen=True, slots=True)
class Stage:
    """A scenario with everything in its place: where each run begins."""

    world: World
    scenario: Scenario
    saved: Saved
    moment: datetime

    def run(self, *deaths: Death) -> Run:
        """Do what the scenario says, with these deaths, each counted from the one before."""
        world = self.world
        world.bring_back(self.saved, self.moment)
        world.calls.watch(deaths)
        failure = None
        try:
            self.scenario.act(world)
            world.calls.stop_watching()
            self.scenario.settle(world)
        except Exception as error:  # noqa: BLE001 - whatever breaks a scenario off is what is looked for
            failure = f"{type(error).__name__}: {error}"
        world.calls.stop_watching()
        return Run(tuple(world.answers), look(world), tuple(world.calls.made), tuple(world.calls.fired), failure)

    def state_after_next_use(self) -> State:
        """Once the run is over and a further use has been made."""
        assert self.scenario.next_use is not None
        self.scenario.next_use(self.world)
        return look(self.world)


def look(world: World) -> State:
    objects = world.engine.objects()
    excused = unnamed(objects)
    texts = [row_text(table, row) for table, row in world.engine.rows()]
    texts += [object_text(key, body, objects) for key, body in objects.items() if key not in excused]
    left = Counter(excused.values())
    uploads = world.engine.uploads()
    if gives_up_uploads():
        left[UPLOAD] = len(uploads)
    else:
        texts += [f"an unfinished upload of {key}" for key in uploads]
    return State(Counter(canonical(texts)), +left, erased(objects))


def differences(expected: Run, found: Run, scenario: Scenario) -> list[str]:
    """What a client, or a reader, could tell the two runs apart by."""
    told = [] if found.failure is None else [f"it broke off: {found.failure}"]
    return told + _answers(expected.answers, found.answers, scenario) + states(expected.state, found.state)


def states(expected: State, found: State) -> list[str]:
    missing, further = expected.texts - found.texts, found.texts - expected.texts
    further = Counter({text: count for text, count in further.items() if excuse_of_another(text) is None})
    told = [f"missing: {_short(text)}" for text in missing] + [f"not to be there: {_short(text)}" for text in further]
    return told + [f"counted twice: {count} {name}" for name, count in (found.erased - expected.erased).items()]


def excused(expected: State, found: State) -> Counter[str]:
    """What the second state holds besides, by the reason why that is no harm."""
    excused = found.left - expected.left
    for text, count in (found.texts - expected.texts).items():
        reason = excuse_of_another(text)
        if reason is not None:
            excused[reason] += count
    return excused


def _answers(expected: Sequence[Seen], found: Sequence[Seen], scenario: Scenario) -> list[str]:
    if len(expected) != len(found):
        return [f"{len(found)} answers in place of {len(expected)}"]
    return [
        f"the answer is {one.status} {_short(one.text)} in place of {other.status} {_short(other.text)}"
        for other, one in zip(expected, found, strict=True)
        if (other.status, other.text) != (one.status, one.text)
        and not (one.is_repeated and one.status in scenario.may_answer)
    ]


def _short(text: str) -> str:
    return text if len(text) <= _TOLD_CHARACTERS else f"{text[:_TOLD_CHARACTERS]}..."
