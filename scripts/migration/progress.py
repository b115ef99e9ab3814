"""How far it is: a live bar on a terminal, a line now and then elsewhere. To stderr, as all but results."""

import sys
import threading
import time
from types import TracebackType
from typing import Self

from tqdm import tqdm

_LINE_SECONDS = 10.0


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Counts rows of a step; `total` None where it is not known yet."""

    def __init__(self, step: str, total: int | None) -> None:
        self._step = step
        self._total = total
        self._lock = threading.Lock()
        self._units = 0.0
        self._count = 0
        self._began = self._said_at = time.monotonic()
        self._bar = tqdm(total=total, desc=step, unit="row", file=sys.stderr, leave=True) if _is_terminal() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        elif kind is None:
            say(self._line())

    def tick(self, rows: int, units: float = 0.0) -> None:
        """Enter rows, and the capacity units consumed by all so far."""
        with self._lock:
            self._count += rows
            self._units = max(units, self._units)
            if self._bar is not None:
                if self._units:
                    self._bar.set_postfix_str(f"{self._units:,.0f} WCU", refresh=False)
                self._bar.update(rows)
            elif time.monotonic() - self._said_at >= _LINE_SECONDS:
                self._said_at = time.monotonic()
                say(self._line())

    def _line(self) -> str:
        seconds = time.monotonic() - self._began
        rate = self._count / seconds if seconds else 0.0
        of = f" of {self._total:,}" if self._total is not None else ""
        units = f", {self._units:,.0f} WCU" if self._units else ""
        left = f", {(self._total - self._count) / rate:,.0f} s left" if self._total and rate and units else ""
        return f"{self._step}: {self._count:,}{of} rows, {rate:,.0f} rows/s{units}{left}"


def _is_terminal() -> bool:
    return sys.stderr.isatty()
