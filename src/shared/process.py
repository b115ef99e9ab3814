"""What one process keeps for itself: made on first use, never by an import, and dropped in a copy of the process.

With SnapStart, Lambda keeps the memory of a function whose imports are done, and starts every process of it as a copy,
perhaps days later. A copy must not go on with what is another's or outdated: connections, credentials, keys and their
age, and the state of random numbers, which all copies would share. So each thing that a process keeps is declared here,
and a copy begins without any (https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks.html).
"""

import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class PerProcess(Protocol[T_co]):
    """A function that makes its value at its first call, and returns the same one from then on."""

    def __call__(self) -> T_co: ...
    def cache_clear(self) -> None: ...
    def cache_info(self) -> Any: ...


_kept: list[PerProcess[Any]] = []


def per_process(make: Callable[[], T]) -> PerProcess[T]:
    """Make the value once in each process, a copy of one included. Two first calls at once may each make one."""
    made = lru_cache(maxsize=1)(make)
    _kept.append(made)
    return made


def kept_by_process() -> tuple[PerProcess[Any], ...]:
    """All that is declared so far."""
    return tuple(_kept)


def renew() -> None:
    """Forget what this process keeps, and draw the state of its random numbers anew."""
    for kept in _kept:
        kept.cache_clear()
    # os.urandom, hence every uuid and secret, is the kernel's, which Lambda renews by itself.
    random.seed()


def before_snapshot(prepare: Callable[[], object]) -> Callable[[], object]:
    """Have Lambda call this before it takes its copy: for imports that otherwise wait until they are needed."""
    if _runtime is not None:
        _runtime.register_before_snapshot(prepare)
    return prepare


def _find_runtime() -> Any:
    """The registry of Lambda's Python runtimes, which is nowhere else: without it nobody copies the process."""
    try:
        import snapshot_restore_py
    except ImportError:
        return None
    return snapshot_restore_py


_runtime = _find_runtime()
if _runtime is not None:
    _runtime.register_after_restore(renew)
