"""How fast migrate.py writes, beside a loop of put_item and boto3's batch_writer; and what memory it takes.

    .venv/bin/python -m benchmarks.migrate            items per second
    .venv/bin/python -m benchmarks.migrate memory     peak memory of whole runs of 10,000 and 500,000 rows

Every call takes 5 ms longer than the store does, as a network in between would make it. All write the same items into
new tables of one store on this machine, which takes its own share of the processors.
"""

import argparse
import contextlib
import gc
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

from scripts.local.folder import PROJECT
from scripts.migration.journal import Journal
from scripts.migration.reading import Contents, FirstReading, LaterReading
from scripts.migration.rejects import Rejects
from scripts.migration.run import THREADS, Pace, Run
from scripts.migration.sources.opening import open_source
from scripts.migration.target import Target
from scripts.migration.work import WorkFolder
from shared.config import Settings
from shared.database.attributes import from_item
from tests.support.engines import Engine, dynoxide_engine, ministack_engine
from tests.support.environment import AWS_IDENTITY
from tests.support.migrating import ListSource, Migration, mapping

LATENCY_SECONDS = 0.005
_OWNERS, _DIMENSION = 40, 64
_MEMORY_ROWS = (10_000, 500_000)

Rows = Mapping[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Way:
    """One way of writing the items; gives the seconds that it took."""

    name: str
    write: Callable[[Engine, Rows, Path], float]
    share: float = 1.0
    """How much of the items it writes: a slow way need not write all to be timed."""


def make_rows(count: int) -> Rows:
    """Half reports, half embeddings, about a kilobyte each."""
    numbers = random.Random(3)  # noqa: S311 - not a secret
    common = {"created": "2021-01-01T00:00:00Z", "updated": "2021-01-01T00:00:00Z"}
    notes = [
        {"id": f"note-{n}", "sub": f"user-{n % _OWNERS}", "title": f"Note {n}", "author": "Ann",
         "reference": {"id": n, "text": "x" * 500}, "favorites": ["a", "b"], **common}
        for n in range(count // 2)
    ]  # fmt: skip
    vectors = [
        {"product": f"p{n}", "sub": f"user-{n % _OWNERS}", "model": "m-1", "text": "y" * 300,
         "vector": [numbers.uniform(-1, 1) for _ in range(_DIMENSION)], **common}
        for n in range(count // 2)
    ]  # fmt: skip
    return {"notes": notes, "vectors": vectors}


def settings_of(engine: Engine) -> Settings:
    """Without the bucket: discarding snapshots is no part of what is measured."""
    environ = engine.settings(engine.endpoint).environ
    return Settings(MappingProxyType({name: value for name, value in environ.items() if name != "SIMILARITY_BUCKET"}))


def delay(client: Any) -> None:
    client.meta.events.register("before-send", lambda **_: time.sleep(LATENCY_SECONDS))


def migrating(*, batches: bool) -> Callable[[Engine, Rows, Path], float]:
    """The writing of `apply`: the second reading, judging, conversion, journal and all."""

    def write(engine: Engine, rows: Rows, folder: Path) -> float:
        target = Target(settings_of(engine), THREADS)
        delay(target.writer.client)
        delay(target.reader.client)
        made = Migration(WorkFolder(folder), target, rows, pace=Pace(batches=batches))
        made.read()
        began = time.perf_counter()
        outcomes = made.write()
        seconds = time.perf_counter() - began
        assert outcomes == {"WRITTEN": sum(map(len, rows.values()))}
        return seconds

    return write


def plain_items(engine: Engine, rows: Rows, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The same items, as boto3's Table objects take them: table and item."""
    target = Target(settings_of(engine))
    with contextlib.closing(Journal.create(folder / "plain.sqlite")) as journal:
        contents = Contents(ListSource(rows), mapping())
        with contextlib.closing(Rejects(folder / "plain.jsonl")) as rejects:
            FirstReading(contents, journal, rejects).run()
        reading = LaterReading(contents, journal)
        for name in contents.users_first:
            for _, row in reading.rows(name):
                item = target.writer.prepare_for_dynamodb(from_item(row.item))
                yield target.tables[row.table], item


def put_loop(engine: Engine, rows: Rows, folder: Path) -> float:
    items = list(plain_items(engine, rows, folder))
    tables = {name: _table(engine, name) for name in {name for name, _ in items}}
    began = time.perf_counter()
    for name, item in items:
        tables[name].put_item(Item=item)
    return time.perf_counter() - began


def batch_writer(engine: Engine, rows: Rows, folder: Path) -> float:
    items = list(plain_items(engine, rows, folder))
    tables = {name: _table(engine, name) for name in {name for name, _ in items}}
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        writers = {name: stack.enter_context(table.batch_writer()) for name, table in tables.items()}
        for name, item in items:
            writers[name].put_item(Item=item)
    return time.perf_counter() - began


def _table(engine: Engine, name: str) -> Any:
    resource = boto3.resource("dynamodb", endpoint_url=engine.endpoint)
    delay(resource.meta.client)
    return resource.Table(name)


WAYS = (
    Way("put_item, one after the other", put_loop, share=0.1),
    Way("batch_writer", batch_writer),
    Way("migrate.py, puts on a condition", migrating(batches=False)),
    Way("migrate.py, batches into empty tables", migrating(batches=True)),
)


def measure_speed(store: str, count: int, rounds: int) -> None:
    """Each way in turn, in every round, so that a busier moment of the machine meets all."""
    rates: dict[str, list[float]] = {way.name: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder, _engine(store, Path(folder)) as running:
        for number in range(rounds):
            for way in WAYS:
                rates[way.name].append(_rate(way, running, count, Path(folder) / f"{number}-{len(rates[way.name])}"))
    loop, writer = (statistics.median(rates[way.name]) for way in WAYS[:2])
    print(f"| {store}, {count:,} items | items/s | times the loop | times batch_writer |")
    print("|---|---|---|---|")
    for way in WAYS:
        rate = statistics.median(rates[way.name])
        print(f"| {way.name} | {rate:,.0f} | {rate / loop:.1f} | {rate / writer:.2f} |")


def _rate(way: Way, running: Engine, count: int, folder: Path) -> float:
    rows = make_rows(int(count * way.share))
    folder.mkdir(parents=True, exist_ok=True)
    engine = Engine(running.name, running.endpoint)
    engine.create_tables()
    gc.collect()
    return sum(map(len, rows.values())) / way.write(engine, rows, folder)


@contextlib.contextmanager
def _engine(store: str, folder: Path) -> Iterator[Engine]:
    with ministack_engine(folder / "store") if store == "ministack" else dynoxide_engine() as engine:
        yield engine


def measure_memory() -> None:
    """A process for each size: both readings of NDJSON files, and writes that are answered without a store."""
    print("| rows | peak MB |")
    print("|---|---|")
    for count in _MEMORY_ROWS:
        finished = subprocess.run(
            [sys.executable, "-m", "benchmarks.migrate", "one-memory", "--count", str(count)],
            env={**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'src'}"},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        print(f"| {count:,} | {finished.stdout.strip()} |")


def migrate_without_store(count: int) -> float:
    """Peak memory of this process in MB, after it has migrated so many rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_files(folder / "rows", count)
        target = Target(settings_of(Engine("none", "http://127.0.0.1:1")), THREADS)
        for manager in (target.writer, target.reader):
            events: Any = manager.client.meta.events
            events.register("before-send", answer_at_once)
        with contextlib.closing(Journal.create(folder / "journal.sqlite")) as journal:
            with contextlib.closing(Rejects(folder / "rejects.jsonl")) as rejects:
                contents = Contents(open_source(f"ndjson:{folder}/rows"), mapping())
                FirstReading(contents, journal, rejects).run()
                Run(contents, mapping(), journal, target, rejects, Pace(), "benchmark").write(resumed=False)
            assert sum(journal.outcome_counts().values()) == count
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_files(folder: Path, count: int) -> None:
    """Rows of `make_rows`, a thousand at a time under numbers of their own."""
    folder.mkdir()
    with (folder / "notes.ndjson").open("w") as notes, (folder / "vectors.ndjson").open("w") as vectors:
        for start in range(0, count, 1_000):
            rows = make_rows(1_000)
            for note, vector in zip(rows["notes"], rows["vectors"], strict=True):
                notes.write(json.dumps({**note, "id": f"{note['id']}-{start}"}) + "\n")
                vectors.write(json.dumps({**vector, "product": f"{vector['product']}-{start}"}) + "\n")


def answer_at_once(request: Any, **_: object) -> AWSResponse:
    """What an empty table answers."""
    operation = request.headers["X-Amz-Target"]
    operation = operation.decode() if isinstance(operation, bytes) else operation
    answers: dict[str, Any] = {"Scan": {"Items": [], "Count": 0}, "BatchGetItem": {"Responses": {}}}
    body = json.dumps(answers.get(operation.rpartition(".")[2], {})).encode()
    headers: Any = {"content-type": "application/x-amz-json-1.0"}
    return AWSResponse(request.url, 200, headers, Body(body))


class Body(BytesIO):
    """What urllib3 would give botocore to read."""

    def stream(self) -> Iterator[bytes]:
        yield self.read()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", default="speed", choices=("speed", "memory", "one-memory"))
    parser.add_argument("--store", default="dynoxide", choices=("dynoxide", "ministack"))
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    found = parser.parse_args()
    os.environ.update(AWS_IDENTITY)
    if found.what == "speed":
        measure_speed(found.store, found.count, found.rounds)
    elif found.what == "memory":
        measure_memory()
    else:
        print(f"{migrate_without_store(found.count):,.0f}")


if __name__ == "__main__":
    main()
