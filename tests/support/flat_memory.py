"""Whether reading a stream keeps its memory, what libraries allocate by themselves included."""

import gc
from collections.abc import Iterable
from pathlib import Path

_PAGE = 4096
_EVERY = 500


def resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE / 2**20


def growth(stream: Iterable[object], settled: int = 10_000) -> tuple[int, float]:
    """How many there are, and by how many megabytes memory peaked above what it was after the first `settled`."""
    count, base, peak = 0, 0.0, 0.0
    for count, _ in enumerate(stream, 1):
        if count == settled:
            gc.collect()
            base = peak = resident_megabytes()
        elif count % _EVERY == 0:
            peak = max(peak, resident_megabytes())
    return count, peak - base
