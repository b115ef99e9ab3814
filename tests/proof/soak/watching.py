"""Memory and file descriptors of processes over time, and how fast they grow."""

import os
import statistics
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_WARM_UP = 0.25
"""Of the time, in which caches and pools fill; no slope counts it."""


@dataclass(frozen=True, slots=True)
class Growth:
    """`slope` is by second: the median of those of all pairs of samples (Theil 1950, Sen 1968), which outliers do not
    move.
    """

    median: float
    slope: float

    @classmethod
    def of(cls, samples: Sequence[tuple[float, float]]) -> "Growth":
        slopes = [(late - early) / (then - before) for (before, early), (then, late) in combinations(samples, 2)]
        return cls(statistics.median(value for _, value in samples), statistics.median(slopes))


class Watch:
    """Samples processes by their numbers, under the names that are given."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._memory: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._descriptors: dict[str, list[tuple[float, float]]] = defaultdict(list)

    @property
    def names(self) -> Sequence[str]:
        return list(self._processes)

    def over(self, seconds: float, every: float) -> None:
        """Samples until so many seconds have gone by."""
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds:
            if passed >= _WARM_UP * seconds:
                self._sample(passed)
            time.sleep(every)

    def memory(self, name: str) -> Growth:
        """Resident bytes."""
        return Growth.of(self._memory[name])

    def descriptors(self, name: str) -> Growth:
        return Growth.of(self._descriptors[name])

    def _sample(self, passed: float) -> None:
        for name, process in self._processes.items():
            resident = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
            self._memory[name].append((passed, float(resident * _PAGE_BYTES)))
            self._descriptors[name].append((passed, float(len(os.listdir(f"/proc/{process}/fd")))))
