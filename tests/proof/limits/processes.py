"""Function instances as processes: each has a manager, a memory and faults of its own, and they start at once."""

import multiprocessing
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.config import TenantLimits
from shared.database import DatabaseManager
from shared.errors import LimitExceeded, Unavailable
from shared.limits.admission import Admission, admit
from shared.limits.memory import LimitMemory
from shared.scope import Growth, request_scope
from tests.support.engines import Engine

from ..outcome import Options
from .faults import Faults

_CONTEXT = multiprocessing.get_context("fork")
_LONGEST_SECONDS = 300


@dataclass
class Tally:
    """What one process did."""

    admitted: Counter[int] = field(default_factory=Counter)
    """Requests by window that were counted and let in."""

    uncounted: Counter[int] = field(default_factory=Counter)
    """Those let in though the table did not answer."""

    asked: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.admitted + other.admitted,
            self.uncounted + other.uncounted,
            self.asked + other.asked,
            self.faults + other.faults,
            self.notes + other.notes,
        )


@dataclass
class Instance:
    """One function instance. `window` is what its clock shows."""

    manager: DatabaseManager
    limits: TenantLimits
    window: int = 1000
    memory: LimitMemory = field(init=False)
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Another process in its place, which knows nothing."""
        self.memory = LimitMemory(lambda: self.window * 10 + 3.0)

    def request(self, tenant: str, growth: Growth, handle: Callable[[], object] = lambda: None) -> bool:
        """One request of the class of writes; whether it was let in."""
        self.tally.asked[self.window] += 1
        try:
            with request_scope():
                admission = admit(self.limits, tenant, "writes", growth, manager=self.manager, memory=self.memory)
                self._count(admission)
                handle()
                admission.settle()
        except (LimitExceeded, Unavailable):
            return False
        return True

    def _count(self, admission: Admission) -> None:
        is_uncounted = "limits_unavailable" in admission.details
        (self.tally.uncounted if is_uncounted else self.tally.admitted)[self.window] += 1


Job = Callable[[Instance, Options, int, Any], None]


def run(
    job: Job, count: int, engine: Engine, limits: TenantLimits, options: Options, *names: object, one_in: int = 0
) -> Tally:
    """What `count` processes came to, each of which did the job; one fault in `one_in` calls of limits, 0 for none."""
    barrier, answers = _CONTEXT.Barrier(count), _CONTEXT.Queue()

    def work(number: int) -> None:
        instance = Instance(engine.manager(), limits)
        source = options.random("limits", *names, number)
        faults = Faults(instance.manager, source, one_in) if one_in else None
        try:
            job(instance, options, number, barrier)
        except Exception as error:  # noqa: BLE001 - told to the parent, which makes a violation of it
            instance.tally.notes.append(f"process {number} broke off: {error!r}")
            barrier.abort()
        instance.tally.faults += faults.fired if faults else Counter()
        answers.put(instance.tally)

    processes = [_CONTEXT.Process(target=work, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    total = Tally()
    for _ in processes:
        total += answers.get(timeout=_LONGEST_SECONDS)
    for process in processes:
        process.join()
    return total
