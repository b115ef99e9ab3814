"""Indexes kept in memory between requests, each as fresh as the table's index is when it is asked for.

Whoever had to read much asks the worker for the next snapshot. Memory has a hard cap: indexes that were not used for
longest make room, and one that is larger than the cap is searched in segments that are streamed from its snapshot.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..config import get_settings
from ..database.embeddings import EmbeddingRepository
from ..errors import Unavailable
from ..process import per_process
from ..scope import current_scope
from ..telemetry import log_warning
from .asking import Asker, Key
from .index import Hit, ModelIndex, Query
from .loading import REBUILD_AFTER, Loader, TooLarge
from .objects import ObjectStore, default_objects
from .segment import CorruptSegment

REFRESH_SECONDS = 1.0
"""An index is not read anew sooner: what was stored so long before a search began is found by it."""

_WAIT_SECONDS = 5.0
_TRIES = 2
_MAX_ENTRIES = 10_000


@dataclass(slots=True)
class _Entry:
    """One index. Times are the cache's clock's, in seconds."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    index: ModelIndex | None = None
    declared_at: str = ""
    """When the model version was declared that the index is of: after an erasure another may have its name."""

    is_streamed: bool = False
    """Whether it was found to be too large to be kept whole."""

    unsaved: int = 0
    """Rows that no snapshot has, as far as this process knows."""

    loaded_at: float = 0.0
    read_at: float = 0.0
    used_at: float = 0.0

    @property
    def nbytes(self) -> int:
        return 0 if self.index is None else self.index.nbytes


class IndexCache:
    """The indexes of one process, shared by its threads."""

    def __init__(
        self,
        objects: ObjectStore,
        repository: EmbeddingRepository,
        limit: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`limit` is in bytes. `clock` tells seconds, and is the wall's: Lambda freezes a process between requests, and
        a monotonic clock may stand still meanwhile. One that was set back makes an index read anew."""
        self._loader = Loader(objects, repository, limit)
        self._limit = limit
        self._clock = clock
        self._asker = Asker(clock)
        self._entries: dict[Key, _Entry] = {}
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the indexes that are kept."""
        with self._lock:
            return sum(entry.nbytes for entry in self._entries.values())

    def search(
        self, owner: str, model_version: str, dimension: int, query: Query, *, declared_at: str = ""
    ) -> list[Hit]:
        """What `ModelIndex.search` finds in the owner's index of the model version that was declared then.

        Raises Unavailable where the index cannot be had in the time that the request has, or TooManyRequests.
        """
        key = (owner, model_version)
        for _ in range(_TRIES):
            index = self.index_of(owner, model_version, dimension, declared_at=declared_at)
            try:
                return index.search(query, _check_time)
            except CorruptSegment as error:  # or gone since the manifest was read
                log_warning("a segment could not be streamed", reason=str(error))
                self._forget(key)
            finally:
                self._trim(key, index)  # a filter has made columns
        self._asker.ask(key, full=True)
        raise _being_built()

    def index_of(self, owner: str, model_version: str, dimension: int, *, declared_at: str = "") -> ModelIndex:
        """The index, no older than REFRESH_SECONDS. Raises Unavailable or TooManyRequests as `search`."""
        key = (owner, model_version)
        entry = self._entry(key)
        with _held(entry.lock):
            entry.used_at = self._clock()
            if entry.declared_at != declared_at:
                entry.index, entry.declared_at = None, declared_at
            return self._current(key, dimension, entry)

    def _current(self, key: Key, dimension: int, entry: _Entry) -> ModelIndex:
        index = entry.index
        if not self._is_within(REBUILD_AFTER.total_seconds(), entry.loaded_at):
            index, entry.is_streamed = None, False
        if index is None:
            return self._load(key, dimension, entry)
        if self._is_within(REFRESH_SECONDS, entry.read_at):
            return index
        try:
            return self._refresh(key, index, entry)
        except TooLarge:
            entry.is_streamed = True
            return self._load(key, dimension, entry)

    def _is_within(self, seconds: float, moment: float) -> bool:
        return 0 <= self._clock() - moment < seconds

    def _load(self, key: Key, dimension: int, entry: _Entry) -> ModelIndex:
        """Read the index; one at a time, so that two together do not pass the limit."""
        with _held(self._loading):
            entry.index = None
            began = self._clock()
            for streamed in (True,) if entry.is_streamed else (False, True):
                try:
                    index, unsaved = self._loader.load(
                        key, dimension, self._wanting(key), self._room_maker(key), streamed=streamed
                    )
                except TooLarge as error:
                    entry.is_streamed = True
                    if not error.can_be_streamed:
                        break
                    continue
                entry.loaded_at = began
                return self._keep(key, entry, index, unsaved, began)
        self._asker.ask(key)
        raise _being_built()

    def _refresh(self, key: Key, index: ModelIndex, entry: _Entry) -> ModelIndex:
        began = self._clock()
        index, unsaved = self._loader.refresh(key, index, entry.unsaved, self._wanting(key), self._room_maker(key))
        return self._keep(key, entry, index, unsaved, began)

    def _keep(self, key: Key, entry: _Entry, index: ModelIndex, unsaved: int, began: float) -> ModelIndex:
        entry.index, entry.unsaved, entry.read_at = index, unsaved, began
        if self._asker.was_asked(key):
            entry.unsaved = 0
        return index

    def _wanting(self, key: Key) -> Callable[[bool], None]:
        return lambda full: self._asker.ask(key, full=full)

    def _room_maker(self, key: Key) -> Callable[[int], None]:
        return lambda size: self._make_room(size, keep=key)

    def _trim(self, key: Key, index: ModelIndex) -> None:
        """Bring what is kept back below the limit after a search."""
        if index.nbytes > self._limit:
            index.drop_columns()
        self._make_room(index.nbytes, keep=key)

    def _make_room(self, size: int, keep: Key) -> None:
        """Let go of other indexes, those not used for longest first, until `size` bytes more are below the limit."""
        with self._lock:
            others = [entry for key, entry in self._entries.items() if key != keep and entry.index is not None]
            total = size + sum(entry.nbytes for entry in others)
            for entry in sorted(others, key=lambda entry: entry.used_at):
                if total <= self._limit:
                    return
                total -= entry.nbytes
                entry.index = None

    def _entry(self, key: Key) -> _Entry:
        with self._lock:
            if key not in self._entries and len(self._entries) >= _MAX_ENTRIES:
                self._drop_idle_entries()
            return self._entries.setdefault(key, _Entry())

    def _drop_idle_entries(self) -> None:
        """Forget entries that hold no index."""
        idle = [key for key, entry in self._entries.items() if entry.index is None and not entry.lock.locked()]
        for key in idle:
            del self._entries[key]

    def _forget(self, key: Key) -> None:
        self._entry(key).index = None


@per_process
def default_cache() -> IndexCache:
    """The process's own cache, configured by the environment."""
    return IndexCache(default_objects(), EmbeddingRepository(), get_settings().index_cache_bytes)


@contextmanager
def _held(lock: threading.Lock) -> Iterator[None]:
    """Hold the lock. Raises Unavailable where another thread holds it for longer than a request can wait."""
    if not lock.acquire(timeout=_WAIT_SECONDS):
        raise _being_built()
    try:
        yield
    finally:
        lock.release()


def _being_built() -> Unavailable:
    return Unavailable("The similarity index is being built. Try again in a while.", retry_after=10)


def _check_time() -> None:
    scope = current_scope()
    if scope:
        scope.ensure_time_for_a_call()
