"""Makes `seeds/` of what a whole run has reached: `PYTHONPATH=src .venv/bin/python -m tests.proof.fuzz.distil [FOLDER]`

A run leaves the inputs that reached something new in `.local/fuzz/reached`, some hundreds for each target. Of these,
the shortest first, those are kept that lead from one line of the product to another in a way that none before them did.
Every run begins with them.
"""

import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

from .target import Target, to_line
from .targets import REACHED, TARGETS, found

_SEEDS = Path(__file__).parent / "seeds"
_PRODUCT = str(Path(__file__).parents[3] / "src")
_LONGEST, _MOST = 1500, 120

Step = tuple[str, int, int]
"""A file, and two lines of it, the second run after the first."""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REACHED
    logging.disable(logging.CRITICAL)
    for name, target in TARGETS.items():
        kept = set(map(Path.read_bytes, found(name)))
        inputs = {file.read_bytes() for file in (folder / name).glob("*")} - kept
        chosen = distilled(target, inputs)
        if chosen:
            lines = [to_line(data) for data in chosen]
            (_SEEDS / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
        print(f"{name}: {len(chosen)} of {len(inputs)} inputs, {sum(map(len, chosen))} bytes")


def distilled(target: Target, inputs: Iterable[bytes]) -> list[bytes]:
    """Those that lead another way than what the target begins with, and than those before them."""
    known: set[Step] = set()
    for data in target.seeds():
        known |= steps(target.check, data)
    chosen: list[bytes] = []
    for data in sorted(inputs, key=lambda data: (len(data), data)):
        taken = steps(target.check, data) if len(data) <= _LONGEST and len(chosen) < _MOST else set()
        if not taken <= known:
            known |= taken
            chosen.append(data)
    return chosen


def steps(check: Callable[[bytes], str], data: bytes) -> set[Step]:
    """The ways from line to line of the product that reading an input takes."""
    taken: set[Step] = set()

    def enter(frame: FrameType, event: str, argument: Any) -> Any:
        file, before = frame.f_code.co_filename, 0
        if not file.startswith(_PRODUCT):
            return None

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal before
            if event == "line":
                taken.add((file, before, frame.f_lineno))
                before = frame.f_lineno
            return trace

        return trace

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        check(data)
    finally:
        sys.settrace(before)
    return taken


if __name__ == "__main__":
    main()
