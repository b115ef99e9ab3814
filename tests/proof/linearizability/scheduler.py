"""Threads of which one runs at a time, and a seeded choice of which: the same seed gives the same interleaving.

A thread runs until it comes to a scheduling point (`pause`, `sleep`) or ends; then another may go on. Half of the
schedules choose at random; the others by priorities that change now and then, which reaches orders that need one
thread to stand still for long (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding
bugs", 2010).
"""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .clock import Clock

_LATE_CHANCE = 0.06
_CHANGE_CHANCE = 0.15


@dataclass(slots=True, eq=False)
class _Task:
    work: Callable[[], None]
    priority: float
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    asleep_until: int = 0
    is_over: bool = False
    failure: BaseException | None = None


class Scheduler:
    """Runs tasks; `later` are things that happen by themselves at some time, such as a request that was held up."""

    def __init__(self, source: random.Random, clock: Clock, longest_sleep: int) -> None:
        self.turns = 0
        self.later: list[Callable[[], object]] = []
        self._source, self._clock, self._longest_sleep = source, clock, longest_sleep
        self._by_priority = source.random() < 0.5
        self._back = threading.Semaphore(0)
        self._current = threading.local()

    def run(self, works: Sequence[Callable[[], None]]) -> None:
        """Until all are over. Raises what one of them raised."""
        tasks = [_Task(work, self._source.random()) for work in works]
        threads = [threading.Thread(target=self._run, args=(task,), daemon=True) for task in tasks]
        for thread in threads:
            thread.start()
        while ready := [task for task in tasks if not task.is_over]:
            self._take_turn(ready)
        for thread in threads:
            thread.join()
        for task in tasks:
            if task.failure is not None:
                raise task.failure

    def settle(self) -> None:
        """Let happen what is yet to happen, and the clocks agree."""
        self._source.shuffle(self.later)
        while self.later:
            self.later.pop()()

    def pause(self) -> None:
        """Let others go on, perhaps; outside of a task nobody else is there."""
        task = getattr(self._current, "task", None)
        if task is not None:
            self._back.release()
            task.turn.acquire()

    def sleep(self) -> None:
        """Let others go on for some turns, if there are others."""
        task = getattr(self._current, "task", None)
        if task is not None:
            task.asleep_until = self.turns + self._source.randint(0, self._longest_sleep)
            self.pause()

    def _take_turn(self, ready: Sequence[_Task]) -> None:
        self.turns += 1
        self._clock.tick(self._source)
        if self.later and self._source.random() < _LATE_CHANCE:
            self.later.pop(self._source.randrange(len(self.later)))()
            return
        awake = [task for task in ready if task.asleep_until <= self.turns]
        task = self._choose(awake) if awake else min(ready, key=lambda task: task.asleep_until)
        task.turn.release()
        self._back.acquire()

    def _choose(self, awake: Sequence[_Task]) -> _Task:
        if not self._by_priority:
            return self._source.choice(awake)
        task = max(awake, key=lambda task: task.priority)
        if self._source.random() < _CHANGE_CHANCE:
            task.priority = self._source.random() - 1
        return task

    def _run(self, task: _Task) -> None:
        self._current.task = task
        task.turn.acquire()
        try:
            task.work()
        except BaseException as failure:  # noqa: BLE001 - raised again by whoever runs the tasks
            task.failure = failure
        finally:
            task.is_over = True
            self._back.release()
