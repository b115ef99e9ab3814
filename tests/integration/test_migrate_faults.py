"""With throttles, failures, lost answers and unprocessed items all along: the same rows as without."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scripts.local.store import Store
from scripts.migration.run import Pace
from scripts.migration.target import Target
from scripts.migration.work import WorkFolder
from tests.support.faults import answering
from tests.support.lossy_proxy import LossyProxy, lossy_proxy
from tests.support.migrating import Migration, note, tables_digest, vector
from tests.support.migration_process import Place
from tests.support.stack import running_store

EVERY, FIRST = 20, 3
OF_ROWS = ("PutItem", "BatchWriteItem", "BatchGetItem", "UpdateItem")
ROWS: Mapping[str, list[dict[str, Any]]] = {
    "notes": [note(n, sub=f"user-{n % 9}", reference={"n": n}) for n in range(500)],
    "vectors": [vector(n, sub=f"user-{n % 9}", model=f"m-{n % 3}") for n in range(1, 501)],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with running_store(tmp_path_factory.mktemp("store"), environment=None) as running:
        yield running


@pytest.fixture
def undisturbed(store: Store, tmp_path: Path) -> str:
    target = Place.make(store, f"faultless-{uuid.uuid4().hex[:8]}").target()
    (tmp_path / "undisturbed").mkdir()
    Migration(WorkFolder(tmp_path / "undisturbed"), target, ROWS).apply()
    return tables_digest(target)


class Chance:
    """Says yes to five of a hundred of each kind, evenly, so that each kind that there is fires; and counts."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.fired: Counter[str] = Counter()

    def of(self, kind: str) -> bool:
        with self._lock:
            self._asked[kind] += 1
            hit = self._asked[kind] % EVERY == FIRST
            self.fired[kind] += hit
            return hit


def failing_before(target: Target, chance: Chance) -> None:
    """Throttles and 500s that never reach the store."""
    faults = {
        "throttle": answering(400, "ProvisionedThroughputExceededException"),
        "failure": answering(500, "InternalServerError"),
    }

    def before_send(request: Any, **_: object) -> Any:
        for kind, fault in faults.items():
            if chance.of(kind):
                return fault(request)
        return None

    for manager in (target.writer, target.reader):
        manager.client.meta.events.register("before-send.dynamodb", before_send)


def leaving_unprocessed(target: Target, chance: Chance) -> None:
    client: Any = target.writer.client
    make: Callable[..., Any] = client.batch_write_item

    def limited(RequestItems: Any, **parameters: Any) -> Any:
        ((table, requests),) = RequestItems.items()
        left = [request for request in requests if chance.of("unprocessed")]
        taken = [request for request in requests if request not in left]
        answer = make(RequestItems={table: taken}, **parameters) if taken else {}
        return {**answer, "UnprocessedItems": {table: left} if left else {}}

    client.batch_write_item = limited


def losing_answers(proxy: LossyProxy, chance: Chance, patch: pytest.MonkeyPatch) -> None:
    """Every operation is applied; the answers of some of those that move rows get lost."""
    patch.setattr(proxy, "takes", lambda operation: operation in OF_ROWS and chance.of(f"lost {operation}"))


@pytest.mark.parametrize("batches", [True, False])
def test_faults_all_along_change_nothing(
    batches: bool, store: Store, undisturbed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = Chance()
    place = Place.make(store, f"faulty-{batches}".lower())
    with lossy_proxy(store.endpoint) as proxy:
        losing_answers(proxy, chance, monkeypatch)
        target = place.through(proxy.endpoint).target()
        failing_before(target, chance)
        leaving_unprocessed(target, chance)
        made = Migration(WorkFolder(tmp_path), target, ROWS, pace=Pace(threads=8, batches=batches))
        outcomes = made.apply()
    assert tables_digest(place.target()) == undisturbed
    assert outcomes == {"WRITTEN": 1000}
    wanted = ["throttle", "failure", "lost BatchWriteItem" if batches else "lost PutItem"]
    assert all(chance.fired[kind] for kind in [*wanted, *(["unprocessed"] if batches else [])]), chance.fired
    assert made.last is not None
    assert made.last.caller.concurrency.throttles


def test_a_limit_of_capacity_is_kept(store: Store, tmp_path: Path) -> None:
    target = Place.make(store, "limited").target()
    rows = {"notes": ROWS["notes"][:200]}
    made = Migration(WorkFolder(tmp_path), target, rows, pace=Pace(threads=8, max_wcu=200))
    made.read()
    began = time.monotonic()
    made.write()
    seconds = time.monotonic() - began
    assert made.last is not None
    consumed = made.last.caller.limit.consumed
    assert consumed >= 200
    assert consumed / seconds <= 200 + 200 / seconds  # the first second's worth is there at once
