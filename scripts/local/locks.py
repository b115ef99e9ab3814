"""Lock files that live exactly as long as the process that holds them.

The lock belongs to the open file, not to a process id, so it cannot outlive its holder (not even after kill -9) and
no other process can be mistaken for it. A child that inherits the descriptor holds the lock by itself.
"""

import fcntl
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is held; `descriptor` may be handed to a child."""

    path: Path
    descriptor: int

    def write(self, note: dict[str, Any]) -> None:
        """Says who holds the lock, for whoever finds it taken."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(note).encode(), 0)

    def close(self) -> None:
        """Lets go; a child that inherited the descriptor keeps the lock."""
        os.close(self.descriptor)


def acquire(path: Path, *, patience: float = 0.5) -> Lock | None:
    """The lock, or None where a living process has it. Waits a moment, since `holder` takes it to see if it is free."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + patience
    while not _locked(descriptor):
        if time.monotonic() >= deadline:
            os.close(descriptor)
            return None
        time.sleep(0.02)
    return Lock(path, descriptor)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def holder(path: Path) -> dict[str, Any] | None:
    """The note of the living process that has the lock; None where nobody has it."""
    if not path.exists():
        return None
    lock = acquire(path, patience=0)
    if lock is not None:
        lock.close()
        return None
    return read_note(path)


def read_note(path: Path) -> dict[str, Any]:
    """What the holder wrote; empty while it has not written yet."""
    try:
        note = json.loads(path.read_text(encoding="utf-8") or "{}")
    except ValueError:
        return {}
    return note if isinstance(note, dict) else {}
