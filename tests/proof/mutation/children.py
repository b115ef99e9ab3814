"""Work done in a copy of this process, which is thrown away with all that was changed in it."""

import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOST_BYTES = 4 * 1024**3
"""A mutant may ask for memory without end."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a child: its answer, or how it ended without one, and what it printed."""

    answer: Any = None
    broke_off: bool = False
    took_too_long: bool = False
    """It was ended by the alarm (`signal.ITIMER_REAL`) that it had set for itself."""

    said: str = ""


def in_child(work: Callable[[], Any]) -> Ended:
    """What `work` answers, as JSON can hold it."""
    with tempfile.TemporaryDirectory() as folder:
        answer, said = Path(folder, "answer.json"), Path(folder, "said")
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _work(work, answer, said)
        _, status = os.waitpid(child, 0)
        text = said.read_text(encoding="utf-8", errors="replace") if said.exists() else ""
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
            return Ended(took_too_long=True, said=text)
        if status:
            return Ended(broke_off=True, said=text)
        return Ended(json.loads(answer.read_text(encoding="utf-8")), said=text)


def _work(work: Callable[[], Any], answer: Path, said: Path) -> None:
    """Never returns. What threads are left does not matter, so that nothing is waited for."""
    output = os.open(said, os.O_WRONLY | os.O_CREAT)
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_BYTES, _MOST_BYTES))
        os.dup2(output, 1)
        os.dup2(output, 2)
        answer.write_text(json.dumps(work()), encoding="utf-8")
    except BaseException:  # noqa: BLE001 - the end of the child
        os.write(output, traceback.format_exc().encode("utf-8", "replace"))
        os._exit(1)
    os._exit(0)
