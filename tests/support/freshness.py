"""Two processes at one model version: one stores and deletes, the other searches, and both write snapshots.

    python -m tests.support.freshness write|search|build FOLDER SEED

Each keeps a journal in the folder, JSON line by JSON line, with times of `time.monotonic()`, which all processes of a
machine share. Their index lags: `LaggingIndex` shows each change of a row after a time of its own, and what the row was
until then. `wrong_answers` judges the journals afterwards.
"""

import json
import os
import random
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from handlers import worker
from shared.database.embeddings import EmbeddingRepository
from shared.database.manager import default_manager
from shared.errors import ApiError, Unavailable
from shared.models.embedding import DBProductEmbedding
from shared.models.filters import parse_filter
from shared.models.vector import Vector
from shared.similarity import asking, builder, cache, index, jobs, loading, snapshot, summary
from shared.similarity.cache import IndexCache
from shared.similarity.index import ModelIndex, Query, StreamedPart
from shared.similarity.manifest import Manifest
from shared.similarity.objects import default_objects
from shared.tasks import set_local_worker, wait_for_local_tasks

OWNER, MODEL, DIMENSION = "alice", "v1", 128
STEPS, FIRST_PRODUCTS, PRODUCTS, HOT_PRODUCTS = 1000, 150, 180, 30
PAGE_ROWS, SEGMENT_ROWS = 70, 16

LONGEST_LAG, REFRESH_SECONDS = 0.4, 0.1
KNOWN_AFTER = LONGEST_LAG + REFRESH_SECONDS
"""How long after a write its effect may be missing from an answer."""

MUCH_MEMORY, LITTLE_MEMORY = 1 << 30, 90_000

_LIMITS = {
    "OVERLAP": timedelta(seconds=1.5),
    "GRACE": timedelta(seconds=6),
    "LONGEST_BUILD": timedelta(seconds=4),
    "REFRESH_SECONDS": REFRESH_SECONDS,
    "REBUILD_AFTER": timedelta(seconds=2),
    "SNAPSHOT_ROWS": 50,
    "ASK_AGAIN_SECONDS": 1.0,
    "SEALED_ROWS": 16,
    "SnapshotBuilder": partial(builder.SnapshotBuilder, segment_rows=SEGMENT_ROWS),
}

Line = dict[str, Any]
Place = tuple[str, str]


class Journal:
    """What one process writes down and others read while it does."""

    def __init__(self, path: Path) -> None:
        self._path, self._position = path, 0
        self._lock = threading.Lock()

    def add(self, **line: object) -> None:
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def news(self) -> Iterator[Line]:
        """The lines that are new since the last call."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(self._position)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._position += len(whole)
        yield from map(json.loads, whole.splitlines())


class LaggingIndex:
    """Lets a client's queries see each row as it was until the lag of its last change is over, page by page."""

    def __init__(self, writes: Journal) -> None:
        self._writes = writes
        self._versions: dict[str, list[Line]] = {}
        self._lock = threading.Lock()
        self.hidden = 0

    def install(self, client: Any) -> None:
        client.meta.events.register("provide-client-params.dynamodb.Query", self._asked)
        client.meta.events.register("after-call.dynamodb.Query", self._answered)

    def _asked(self, params: Line, context: Line, **_: object) -> None:
        params.setdefault("Limit", PAGE_ROWS)
        context["asked"] = dict(params)

    def _answered(self, parsed: Line, context: Line, **_: object) -> None:
        asked = context["asked"]
        since = asked["ExpressionAttributeValues"].get(":since", {}).get("S", "")
        first = _place(asked["ExclusiveStartKey"]) if "ExclusiveStartKey" in asked else ("", "")
        last = _place(parsed["LastEvaluatedKey"]) if "LastEvaluatedKey" in parsed else ("~", "~")
        with self._lock:
            shown = {_place(item)[1]: item for item in parsed["Items"] if _is_shown(item)}
            self.hidden += len(parsed["Items"]) - len(shown)
            for product_id, item in self._shown_now():
                if product_id not in shown and _place(item)[0] >= since and first < _place(item) <= last:
                    shown[product_id] = item
        parsed["Items"] = sorted(shown.values(), key=_place)

    def _shown_now(self) -> Iterator[tuple[str, Line]]:
        """Each product as the index has it, by the journal of writes."""
        for line in self._writes.news():
            if "item" in line:
                self._versions.setdefault(_place(line["item"])[1], []).append(line["item"])
        for product_id, versions in self._versions.items():
            newest = next(filter(_is_shown, sorted(versions, key=_place, reverse=True)), None)
            if newest is not None:
                yield product_id, newest


def _place(item: Line) -> Place:
    return item["updated_at"]["S"], item["product_id"]["S"]


def _is_shown(item: Line) -> bool:
    age = datetime.now(UTC) - datetime.fromisoformat(item["updated_at"]["S"])
    return age.total_seconds() >= _lag(_place(item))


def _lag(place: Place) -> float:
    """Of one change: the same in every process."""
    source = random.Random("".join(place))  # noqa: S311 - repeatable
    return source.choice([0.0, source.random(), source.random(), 1.0]) * LONGEST_LAG


class NotingCache(IndexCache):
    is_streamed = False

    def index_of(self, owner: str, model_version: str, dimension: int, *, declared_at: str = "") -> ModelIndex:
        found = super().index_of(owner, model_version, dimension, declared_at=declared_at)
        self.is_streamed = any(isinstance(part, StreamedPart) for part in found.parts)
        return found


def new_cache(limit: int) -> NotingCache:
    return NotingCache(default_objects(), EmbeddingRepository(), limit)


def vector_of(write: int) -> bytes:
    return struct.pack(f"<{DIMENSION}f", 1.0, write, *([0.5] * (DIMENSION - 2)))


def product_embedding(product_id: str, write: int) -> DBProductEmbedding:
    return DBProductEmbedding(
        product_id=product_id,
        user_id=OWNER,
        model_version=MODEL,
        embedding_vector=Vector(vector_of(write)),
        product={"write": write, "parity": write % 2},
    )


def everything(parity: int | None = None) -> Query:
    """A query that finds every product, or every one of that parity."""
    wanted = None if parity is None else parse_filter({"parity": parity})
    return Query(np.ones(DIMENSION, np.float32), "dot", 10 * PRODUCTS, filter=wanted)


def shrink_limits(*names: str) -> None:
    """Seconds in place of hours, and tens of rows in place of thousands; of these limits or all."""
    for module in (asking, builder, cache, index, jobs, loading, snapshot, summary):
        for name, value in _LIMITS.items():
            if hasattr(module, name) and (not names or name in names):
                setattr(module, name, value)


class Process:
    """What both kinds of process do: lag, and write snapshots at intervals, half of them full."""

    def __init__(self, name: str, folder: Path, seed: int) -> None:
        shrink_limits()
        self.journal = Journal(folder / f"{name}.jsonl")
        self.lag = LaggingIndex(Journal(folder / "write.jsonl"))
        self.random = random.Random(f"{name} {seed}")  # noqa: S311 - repeatable
        self._build = jobs.build_snapshot
        self._over = threading.Event()
        jobs.build_snapshot = self._noted_build
        set_local_worker(worker.handler)

    @contextmanager
    def running(self) -> Iterator[None]:
        """The snapshots are written until the block ends."""
        self.lag.install(default_manager().client)
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            wait_for_local_tasks(10)
            self.journal.add(hidden=self.lag.hidden)

    def _work(self) -> None:
        source = random.Random(self.random.random())  # noqa: S311 - repeatable
        while not self._over.wait(source.uniform(0.05, 0.3)):
            full = source.random() < 0.5
            if source.random() < 0.5:
                with suppress(Unavailable):  # a full one, where the other process builds a lesser one
                    worker.handler({"task": "snapshot", "owner": OWNER, "model_version": MODEL, "full": full})
            else:  # as for a matrix: whoever else is at it
                jobs.build_snapshot(default_objects(), OWNER, MODEL, full=full, check=lambda: None)

    def _noted_build(self, *arguments: Any, full: bool = False, **options: Any) -> Manifest | None:
        outcome = "failed"
        try:
            manifest = self._build(*arguments, full=full, **options)
            outcome = "published" if manifest else "late"
            return manifest
        finally:
            self.journal.add(snapshot=outcome, full=full)


def write(folder: Path, seed: int) -> None:
    """Store the first products, then take the steps: products stored, replaced and deleted, some of them often."""
    process = Process("write", folder, seed)
    begun = time.monotonic()

    def note(parsed: Line, **_: object) -> None:
        if "product_id" in parsed.get("Attributes", {}):
            process.journal.add(item=parsed["Attributes"], begun=begun, done=time.monotonic())

    default_manager().client.meta.events.register("after-call.dynamodb.UpdateItem", note)
    first = [product_embedding(f"p{number}", number) for number in range(FIRST_PRODUCTS)]
    failures = [outcome for outcome in EmbeddingRepository.store_embeddings(first) if isinstance(outcome, ApiError)]
    if failures:
        raise failures[0]
    live = {embedding.product_id for embedding in first}
    with process.running():
        process.journal.add(ready=True)
        for step in range(STEPS):
            number = process.random.randrange(HOT_PRODUCTS if process.random.random() < 0.6 else PRODUCTS)
            product_id = f"p{number}"
            begun = time.monotonic()
            if product_id in live and process.random.random() < 0.45:
                EmbeddingRepository.delete_embedding(product_id, OWNER, MODEL)
                live.remove(product_id)
            else:
                EmbeddingRepository.store_embedding(product_embedding(product_id, FIRST_PRODUCTS + step))
                live.add(product_id)
            time.sleep(process.random.uniform(0, 0.005))
    process.journal.add(steps=STEPS)


def search(folder: Path, seed: int) -> None:
    """Search all the time, in memory and streamed, warm and cold, until the writer is done and known to be."""
    process = Process("search", folder, seed)
    writer, lines = Journal(folder / "write.jsonl"), list[Line]()
    while not any("ready" in line for line in lines):
        lines += writer.news()
        time.sleep(0.01)
    caches = [new_cache(MUCH_MEMORY), new_cache(LITTLE_MEMORY)]
    with process.running():
        rounds, ends_at = 0, float("inf")
        while time.monotonic() < ends_at:
            rounds += 1
            time.sleep(0.01)
            used = new_cache(MUCH_MEMORY) if rounds % 10 == 0 else caches[rounds % 2]
            _search_once(process.journal, used, process.random.choice([None, None, 0, 1]))
            if rounds % 5 == 0:
                _count_once(process.journal)
            if any("steps" in line for line in writer.news()):
                ends_at = time.monotonic() + KNOWN_AFTER + 0.3


def _search_once(journal: Journal, used: NotingCache, parity: int | None) -> None:
    begun = time.monotonic()
    try:
        hits = used.search(OWNER, MODEL, DIMENSION, everything(parity))
    except ApiError as error:
        journal.add(refused=error.status, retry_after=error.retry_after)
        return
    ended = time.monotonic()
    found = {hit.product_id: _write_of(hit.product, hit.vector) for hit in hits}
    repeated = len(hits) != len(found)
    journal.add(begun=begun, ended=ended, found=found, parity=parity, streamed=used.is_streamed, repeated=repeated)


def _write_of(product: Any, vector: Vector) -> int:
    """The number of the write that a hit is of; -1 for a mixture."""
    number = int(product["write"])
    return number if vector.data == vector_of(number) else -1


def _count_once(journal: Journal) -> None:
    begun = time.monotonic()
    count = summary.count_products(default_objects(), EmbeddingRepository(), OWNER, MODEL)
    journal.add(begun=begun, ended=time.monotonic(), count=count)


def build(folder: Path, seed: int) -> None:
    """Build a full snapshot, and be killed at S3's call number `seed`: before it where it is even, after it if odd."""
    shrink_limits("SnapshotBuilder")
    calls = 0

    def count(**_: object) -> None:
        nonlocal calls
        calls += 1
        if calls == seed + 1:
            os.kill(os.getpid(), signal.SIGKILL)

    events: Any = default_objects().client.meta.events
    events.register("before-call.s3.PutObject", count)
    events.register("after-call.s3.PutObject", count)
    jobs.build_snapshot(default_objects(), OWNER, MODEL, full=True, check=lambda: None)


@dataclass(frozen=True)
class Version:
    """What a product was from one write on; `state` is the write's number, None for deleted."""

    begun: float
    done: float
    state: int | None


@dataclass
class History:
    """Every version of every product, oldest first."""

    versions: dict[str, list[Version]] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: list[Line]) -> "History":
        history = cls()
        for line in sorted((line for line in lines if "item" in line), key=lambda line: _place(line["item"])):
            item = line["item"]
            state = None if "deleted_at" in item else int(item["product"]["M"]["write"]["N"])
            history.versions.setdefault(_place(item)[1], []).append(Version(line["begun"], line["done"], state))
        return history

    def possible(self, product_id: str, begun: float, ended: float) -> set[int | None]:
        """What an answer may show of a product, of a search between these times."""
        versions = self.versions[product_id]
        known = [version for version in versions if version.done <= begun - KNOWN_AFTER]
        maybe = [version for version in versions[len(known) :] if version.begun <= ended]
        return {version.state for version in [*known[-1:], *maybe]} | (set() if known else {None})


def wrong_answers(history: History, lines: list[Line]) -> list[str]:
    """What the answers in a searcher's journal got wrong, in words."""
    return [fault for line in lines if "begun" in line for fault in _faults(history, line)]


def _faults(history: History, line: Line) -> Iterator[str]:
    possible = {name: history.possible(name, line["begun"], line["ended"]) for name in history.versions}
    if "count" in line:
        least = sum(None not in states for states in possible.values())
        most = sum(states != {None} for states in possible.values())
        if not least <= line["count"] <= most:
            yield f"counted {line['count']} rather than {least} to {most}"
        return
    if line["repeated"]:
        yield "a product is shown twice"
    yield from (f"{name} was never stored" for name in line["found"].keys() - possible.keys())
    for name, states in possible.items():
        allowed = {state if _passes(state, line["parity"]) else None for state in states}
        if line["found"].get(name) not in allowed:
            yield f"{name} is {line['found'].get(name)}, may be {allowed} (streamed: {line['streamed']})"


def _passes(state: int | None, parity: int | None) -> bool:
    return state is not None and (parity is None or state % 2 == parity)


if __name__ == "__main__":
    roles: dict[str, Callable[[Path, int], None]] = {"write": write, "search": search, "build": build}
    roles[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
