"""The rejects file: a JSON line for each row that stays behind, with why and a glimpse of what is wrong."""

import json
import os
import re
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.migration.failure import Rejection

_LONGEST = 40
_SECRET = re.compile(
    r"pass|secret|token|credential|api_?key|authorization|cookie|session|salt|hash|email|phone|pwd|private_?key|auth(?!or)|ssn|iban|birth|address",
    re.I,
)


class Rejects:
    """Writes a rejects file anew, or on where a run is resumed. Only its owner may read it."""

    def __init__(self, path: Path, *, resumed: bool = False) -> None:
        if not resumed:
            path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    @property
    def total(self) -> int:
        return self.counts.total()

    def add(self, collection: str, position: str, rejection: Rejection) -> None:
        line: dict[str, Any] = {
            "collection": collection,
            "position": _valid(position),
            "code": rejection.code,
            "field": _valid(rejection.field) if rejection.field else None,
            "reason": _valid(rejection.reason),
        }
        if rejection.value is not None:
            line["value"] = glimpse(rejection.field or "", rejection.value)
        with self._lock:
            self.counts[rejection.code] += 1
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def flush(self) -> None:
        """What was added is on disk after this."""
        with self._lock:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def glimpse(field: str, value: object) -> str:
    """Enough of a value to find it by, and nothing of one whose name sounds private."""
    if _SECRET.search(field):
        return "***"
    if isinstance(value, Mapping):
        return f"an object of {len(value)} members"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = _valid(str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _valid(text: str) -> str:
    """Without halves of surrogate pairs, which UTF-8 does not have."""
    return text.encode("utf-8", "replace").decode()
