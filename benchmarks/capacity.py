"""What every route consumes of DynamoDB, S3 and Lambda, beside what DynamoDB's documented rules give.

    benchmarks/run.sh capacity               a table
    benchmarks/run.sh capacity --markdown    as docs/COST.md has it, with prices

Each route is called once through its handler, in a process that has served before; DynamoDB is dynoxide and S3 the
laptop stack's store. Rows are as large as one would expect: 512 dimensions, products of 200 bytes, a model of 500.
"""

import argparse
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from PIL import Image

from benchmarks.capacity_rules import (
    Item,
    index_write_units,
    item_size,
    read_units,
    stored_size,
    table_write_units,
)
from benchmarks.similarity_data import table
from handlers import worker
from scripts.building.swagger_ui import ensure_swagger_ui
from scripts.local import store as local_store
from scripts.local.folder import LocalFolder
from shared.avatars.names import Upload
from shared.database import UserRepository
from shared.database.manager import default_manager
from shared.models.fields import now
from shared.models.vector import Vector
from shared.similarity.objects import default_objects
from shared.tasks import set_local_worker, wait_for_local_tasks
from tests.support.api import Api, all_endpoints
from tests.support.engines import dynoxide_engine
from tests.support.environment import AWS_IDENTITY
from tests.support.images import encoded
from tests.support.tokens import TokenFactory
from tests.support.uploads import check

MODEL, ROWS, DIMENSION = "clip-vit-b-32", 500, 512
USER = "11111111-1111-4111-8111-111111111111"
_SETTLED_SECONDS = 11.0
"""Longer than `snapshot.OVERLAP`: what was stored before it is not read again with the snapshot."""

_REFRESH_SECONDS = 1.1

WRITE_UNIT, READ_UNIT = 0.625, 0.125
S3_PUT, S3_GET = 5.00, 0.40
GATEWAY, INVOCATION, GIGABYTE_SECOND = 1.00, 0.20, 16.6667
"""List prices of us-east-1 in dollars a million, on demand; DynamoDB's as of November 2024."""

CALL_MILLISECONDS = 6.0
"""What a call of DynamoDB or S3 is taken to last."""

_THREADS = 16
_MEGABYTES_PER_CORE = 1769
_ALIKE = 0.75
"""A unit is rounded up page by page: half of one is no difference."""

_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_PUTS = frozenset({"PutObject", "ListObjectsV2"})
"""What S3 charges at the higher of its two prices."""


@dataclass
class Consumed:
    """What one request consumed: units by the rules and as the engine says, for a table and its index apart."""

    calls: list[str] = field(default_factory=list)
    table_writes: float = 0
    index_writes: float = 0
    reads: float = 0
    stated_table: float = 0
    stated_index: float = 0
    puts: int = 0
    gets: int = 0
    tasks: list[dict[str, Any]] = field(default_factory=list)
    milliseconds: float = 0

    @property
    def writes(self) -> float:
        return self.table_writes + self.index_writes

    @property
    def stated(self) -> float:
        return self.stated_table + self.stated_index


@dataclass(frozen=True)
class Step:
    """One request, or one task of the worker."""

    name: str
    send: Callable[[], object]
    memory: int = 512


class Meter:
    """Watches the process's clients; DynamoDB is asked about rows by a client of its own, which nobody counts."""

    def __init__(self, aside: Any) -> None:
        self._aside = aside
        self._lock = threading.Lock()
        self._pending = threading.local()
        self._indexes: dict[str, Mapping[str, Any] | None] = {}
        self._keys: dict[str, list[str]] = {}
        self._overhead = 0.0
        self.consumed = Consumed()

    def watch(self) -> None:
        events = default_manager().client.meta.events
        before: Any = self._before  # botocore's types know no handler that returns something
        events.register("provide-client-params.dynamodb", before)
        events.register("after-call.dynamodb", self._after)
        default_objects().client.meta.events.register("after-call.s3", self._after_s3)
        set_local_worker(lambda task: self.consumed.tasks.append(task))

    @contextmanager
    def measuring(self) -> Iterator[Consumed]:
        self.consumed, self._overhead = Consumed(), 0.0
        started = time.process_time()
        yield self.consumed
        self.consumed.milliseconds = (time.process_time() - started - self._overhead) * 1000
        assert wait_for_local_tasks(5)

    def _before(self, params: dict[str, Any], model: Any, **_: object) -> dict[str, Any]:
        started = time.thread_time()
        self._pending.params = params
        self._pending.before = self._row(params) if model.name in _WRITES else None
        self._add_overhead(started)
        return {**params, "ReturnConsumedCapacity": "INDEXES"}

    def _after(self, parsed: dict[str, Any], model: Any, http_response: Any, **_: object) -> None:
        started = time.thread_time()
        self._note(parsed, model.name, is_refused=http_response.status_code != 200)
        self._add_overhead(started)

    def _note(self, parsed: dict[str, Any], operation: str, *, is_refused: bool) -> None:
        params, before = self._pending.params, self._pending.before
        table_writes = index_writes = reads = 0.0
        if operation in _WRITES:
            after = before if is_refused else self._row(params)
            table_writes = table_write_units(before, after)
            index = self._index(params["TableName"])
            index_writes = 0 if is_refused or index is None else index_write_units(before, after, index)
        elif operation == "Query":
            reads = read_units(self._examined(params, parsed["ScannedCount"]), consistent=False)
        elif operation == "GetItem":
            reads = read_units(item_size(self._row(params) or {}), consistent=params.get("ConsistentRead", False))
        elif operation == "BatchGetItem":
            for table, wanted in params["RequestItems"].items():
                rows = (self._get(table, key) for key in wanted["Keys"])
                reads += sum(read_units(item_size(row or {}), consistent=wanted["ConsistentRead"]) for row in rows)
        stated = parsed.get("ConsumedCapacity", [])
        stated = stated if isinstance(stated, list) else [stated]
        on_index = sum(
            each["CapacityUnits"] for part in stated for each in part.get("GlobalSecondaryIndexes", {}).values()
        )
        with self._lock:
            self.consumed.calls.append(operation)
            self.consumed.table_writes += table_writes
            self.consumed.index_writes += index_writes
            self.consumed.reads += reads
            self.consumed.stated_index += on_index
            self.consumed.stated_table += sum(part["CapacityUnits"] for part in stated) - on_index

    def _add_overhead(self, started: float) -> None:
        """The time that this meter itself took does not count."""
        with self._lock:
            self._overhead += time.thread_time() - started

    def _after_s3(self, model: Any, **_: object) -> None:
        with self._lock:
            self.consumed.calls.append(model.name)
            self.consumed.puts += model.name in _PUTS
            self.consumed.gets += model.name == "GetObject"

    def _row(self, params: Mapping[str, Any]) -> Item | None:
        table = params["TableName"]
        key = params.get("Key") or {name: params["Item"][name] for name in self._key(table)}
        return self._get(table, key)

    def _get(self, table: str, key: Mapping[str, Any]) -> Item | None:
        row: Item | None = self._aside.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return row

    def _examined(self, params: Mapping[str, Any], count: int) -> int:
        """Bytes of the rows that a query went through, whatever it let through of them."""
        if not count:
            return 0
        left_out = {"ProjectionExpression", "FilterExpression", "Select", "ReturnConsumedCapacity"}
        whole = {name: value for name, value in params.items() if name not in left_out}
        named = set(re.findall(r"[#:]\w+", params["KeyConditionExpression"]))
        for kind in ("Names", "Values"):
            used = params.get(f"ExpressionAttribute{kind}", {})
            whole[f"ExpressionAttribute{kind}"] = {name: value for name, value in used.items() if name in named}
        sizes: list[int] = []
        while len(sizes) < count:
            page = self._aside.query(**{**whole, "Limit": count - len(sizes)})
            sizes += map(item_size, page["Items"])
            whole["ExclusiveStartKey"] = page.get("LastEvaluatedKey")
        return sum(sizes)

    def _key(self, table: str) -> list[str]:
        self._describe(table)
        return self._keys[table]

    def _index(self, table: str) -> Mapping[str, Any] | None:
        self._describe(table)
        return self._indexes[table]

    def _describe(self, table: str) -> None:
        if table not in self._keys:
            described = self._aside.describe_table(TableName=table)["Table"]
            self._keys[table] = [part["AttributeName"] for part in described["KeySchema"]]
            indexes = described.get("GlobalSecondaryIndexes") or [None]
            self._indexes[table] = indexes[0]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure what every route consumes.")
    parser.add_argument("--markdown", action="store_true", help="with prices, as docs/COST.md has it")
    options = parser.parse_args(arguments)
    sys.path.append(str(ensure_swagger_ui()))  # as a layer is on a function's path
    with _running() as (meter, aside):
        measured = _measure(meter)
        sizes = _sizes(aside)
    print(_markdown(measured) if options.markdown else _table(measured))
    print(sizes)


@contextmanager
def _running() -> Iterator[tuple[Meter, Any]]:
    verifier = TokenFactory().verifier()
    os.environ.update(AWS_IDENTITY)
    with tempfile.TemporaryDirectory() as folder, dynoxide_engine() as engine:
        store = local_store.start(LocalFolder(Path(folder)), port=0)
        environment = dict(engine.settings(engine.endpoint).environ)
        os.environ.update({**environment, "AWS_ENDPOINT_URL_S3": store.endpoint, "POWERTOOLS_LOG_LEVEL": "CRITICAL"})
        try:
            default_objects().client.create_bucket(Bucket=default_objects().settings.similarity_bucket)
            meter = Meter(engine.manager().client)
            meter.watch()
            with patch("shared.auth.get_verifier", lambda: verifier), _quiet():
                yield meter, engine.manager().client
        finally:
            store.stop()


@contextmanager
def _quiet() -> Iterator[None]:
    """The functions log to stdout, which is the table's."""
    with patch("shared.http.log_request", lambda **_: None):
        yield


def _measure(meter: Meter) -> list[tuple[Step, Consumed]]:
    api = Api.as_user(USER, name="Ada Example", email="ada@example.com")
    reports = _prepare(api)
    measured = []
    for step in _steps(api, reports, meter):
        with meter.measuring() as consumed:
            answer = step.send()
        status = getattr(answer, "status", 200)
        assert 200 <= status < 300, (step.name, answer)
        measured.append((step, consumed))
    routes = {f"{method} {path}" for method, path in all_endpoints()}
    assert routes == {step.name.split(":")[0] for step, _ in measured if not step.name.startswith("worker")}
    return measured


def _prepare(api: Api) -> list[str]:
    """A user with a profile, 50 reports and a model version; the paths of the reports."""
    assert api.get("/user/profile").status == 200
    assert api.patch("/user/profile", {"preferences": {"theme": "dark", "page_size": 50}}).status == 200
    paths = []
    for number in range(50):
        created = api.post("/reports", {"title": f"Report {number}", "reference": _product(number)})
        assert created.status == 201
        paths.append(created.headers["Location"])
        assert api.put(f"{paths[-1]}/favorites", {"favorites": _favorites()}).status == 200
    for start in range(0, ROWS, 100):
        stored = api.post("/embeddings/batch", {"items": [_embedding(row) for row in range(start, start + 100)]})
        assert stored.status == 200, stored.text
        assert stored.json()["failed"] == 0, stored.text
    _upload()  # the first has nothing to replace, and loads the decoders
    time.sleep(_SETTLED_SECONDS)
    return paths


def _steps(api: Api, reports: Sequence[str], meter: Meter) -> Iterator[Step]:
    """Every route, and the worker's tasks in between; a later step builds on what an earlier one did."""
    named = {"model_version": MODEL}
    searched = {**named, "embedding_vector": _vector(7)}
    one, other = reports[3], reports[4]
    yield Step("GET /health", lambda: api.get("/health"))
    yield Step("GET /openapi.json", lambda: api.get("/openapi.json"))
    yield Step("GET /docs", lambda: api.get("/docs"))
    stylesheet = _stylesheet(api)
    yield Step("GET /docs/{file}", lambda: api.get(f"/docs/{stylesheet}"))
    yield Step("GET /user/profile", lambda: api.get("/user/profile"))
    yield Step("PATCH /user/profile", lambda: api.patch("/user/profile", {"preferences": {"theme": "light"}}))
    yield Step("POST /user/avatar", lambda: api.post("/user/avatar", {"content_type": "image/jpeg"}))
    yield Step("worker: an upload of 1000 by 1000 pixels and its check", _upload, 1769)
    with meter.measuring():  # what nobody counts
        avatar = str(UserRepository.get_user(USER).avatar_url)
    yield Step("GET /avatars/{owner}/{avatar_id}", lambda: api.get(avatar))
    yield Step("POST /reports", lambda: api.post("/reports", {"title": "New", "reference": _product(1)}))
    yield Step("GET /reports", lambda: api.get("/reports"))
    yield Step("GET /reports/{report_id}", lambda: api.get(one))
    yield Step("PATCH /reports/{report_id}", lambda: api.patch(one, {"title": "Renamed"}))
    yield Step("DELETE /reports/{report_id}", lambda: api.delete(other))
    yield Step("GET /reports/{report_id}/favorites", lambda: api.get(f"{one}/favorites"))
    yield Step(
        "PUT /reports/{report_id}/favorites", lambda: api.put(f"{one}/favorites", {"favorites": _favorites()[1:]})
    )
    yield Step("PUT /reports/{report_id}/favorites/{product_id}", lambda: api.put(f"{one}/favorites/product-0000400"))
    yield Step(
        "DELETE /reports/{report_id}/favorites/{product_id}", lambda: api.delete(f"{one}/favorites/product-0000400")
    )
    yield Step("POST /embeddings/search: no snapshot yet", lambda: api.post("/embeddings/search", searched), 1769)
    yield Step("worker: snapshot of 500 rows", _task({"task": "snapshot", "full": True}), 3008)
    _forget_indexes()
    yield Step("POST /embeddings/search: from a snapshot", lambda: api.post("/embeddings/search", searched), 1769)
    yield Step("POST /embeddings/search: within a second", lambda: api.post("/embeddings/search", searched), 1769)
    time.sleep(_REFRESH_SECONDS)
    yield Step("POST /embeddings/search", lambda: api.post("/embeddings/search", searched), 1769)
    time.sleep(_REFRESH_SECONDS)
    yield Step(
        "POST /embeddings/search: by product_id",
        lambda: api.post("/embeddings/search", {**named, "product_id": "product-0000009"}),
        1769,
    )
    time.sleep(_REFRESH_SECONDS)
    yield Step("POST /reports/{report_id}/search", lambda: api.post(f"{one}/search", named), 1769)
    yield Step(
        "GET /reports/{report_id}/products/{product_id}",
        lambda: api.get(f"{one}/products/product-0000009", query=named),
    )
    exported = {**named, "format": "xlsx"}
    yield Step(
        "GET /reports/{report_id}/export: XLSX, 20 favourites", lambda: api.get(f"{one}/export", query=exported), 1769
    )
    yield Step("GET /embeddings/models", lambda: api.get("/embeddings/models"))
    yield Step("POST /embeddings/similarity", lambda: api.post("/embeddings/similarity", named))
    task = meter.consumed.tasks[-1]
    yield Step("worker: matrix of 500 rows", lambda: worker.handler(dict(task)), 3008)
    yield Step("GET /embeddings/similarity", lambda: api.get("/embeddings/similarity", query=named))
    neighbours = "/embeddings/similarity/product-0000009"
    yield Step("GET /embeddings/similarity/{product_id}: first", lambda: api.get(neighbours, query=named))
    yield Step("GET /embeddings/similarity/{product_id}", lambda: api.get(neighbours, query=named))
    yield Step("POST /embeddings", lambda: api.post("/embeddings", _embedding(ROWS)))
    yield Step("POST /embeddings: replacing", lambda: api.post("/embeddings", _embedding(ROWS)))
    batch = {"items": [_embedding(ROWS + 1 + number) for number in range(100)]}
    yield Step("POST /embeddings/batch: 100 new", lambda: api.post("/embeddings/batch", batch))
    yield Step("GET /embeddings", lambda: api.get("/embeddings", query=named))
    yield Step(
        "GET /embeddings: 100, with vectors",
        lambda: api.get("/embeddings", query={**named, "limit": "100", "include_vectors": "true"}),
    )
    path = "/embeddings/product-0000011"
    yield Step("GET /embeddings/{product_id}", lambda: api.get(path, query=named))
    yield Step("PATCH /embeddings/{product_id}", lambda: api.patch(path, {"product": _product(5)}, query=named))
    yield Step("DELETE /embeddings/{product_id}", lambda: api.delete(path, query=named))
    dry, wet = ({**named, "filter": {"kind": "dog"}, "dry_run": is_dry} for is_dry in (True, False))
    yield Step("POST /embeddings/delete: dry run, a step of 200 rows", lambda: api.post("/embeddings/delete", dry))
    yield Step("POST /embeddings/delete: a step of 200 rows", lambda: api.post("/embeddings/delete", wet))
    # Last, as it is the account that they are about; what the worker is asked to do is not done.
    yield Step("POST /user/export", lambda: api.post("/user/export"))
    yield Step("GET /user/export", lambda: api.get("/user/export"))
    yield Step("DELETE /user", lambda: api.delete("/user"))
    yield Step("GET /user/erasure", lambda: api.get("/user/erasure"))


def _stylesheet(api: Api) -> str:
    """As the page names it, by a digest of its content."""
    named = re.search(r'href="docs/([^"]+)"', api.get("/docs").text)
    assert named
    return named[1]


def _task(task: dict[str, Any]) -> Callable[[], object]:
    return lambda: worker.handler({**task, "owner": USER, "model_version": MODEL})


_PHOTOGRAPH = encoded(Image.effect_noise((1000, 1000), 40).convert("RGB"), "JPEG")


def _upload() -> None:
    """An avatar in place of the one before, from where its form is sent."""
    key = Upload.new(USER, now()).key
    default_objects().put(key, _PHOTOGRAPH, media_type="image/jpeg")
    check(key)


def _forget_indexes() -> None:
    """As a new process begins."""
    from shared.similarity.cache import default_cache

    default_cache.cache_clear()


def _vector(number: int) -> list[float]:
    """Shortest decimals: written as float64, a hundred such vectors are more than a body may hold."""
    components = np.random.default_rng(number).standard_normal(DIMENSION).astype(np.float32)
    return Vector(components.tobytes()).tolist()


def _product(number: int) -> dict[str, Any]:
    """About 200 bytes of JSON; every tenth is a dog."""
    return {
        "product_id": f"product-{number:07d}",
        "name": f"A product of quite an ordinary name, {number}",
        "kind": "dog" if number % 10 == 0 else "cat",
        "brand": f"brand-{number % 200}",
        "price": round(3.17 * number % 100, 2),
        "tags": [f"tag-{number % 40}", f"tag-{number % 7}"],
        "in_stock": number % 5 != 0,
    }


def _embedding(number: int) -> dict[str, Any]:
    return {
        "product_id": f"product-{number:07d}",
        "model_version": MODEL,
        "embedding_vector": _vector(number),
        "product": _product(number),
    }


def _favorites() -> list[str]:
    return [f"product-{number:07d}" for number in range(20)]


def _sizes(aside: Any) -> str:
    """What rows take, as storage is paid for."""
    settings = default_manager().settings
    lines = []
    for name in (settings.users_table, settings.reports_table, settings.embeddings_table):
        items = aside.scan(TableName=name)["Items"]
        average = sum(map(stored_size, items)) / len(items)
        lines.append(f"  a row of {name.rsplit('-', 1)[0]}: {average:.0f} bytes stored, 100 of them overhead")
    return "\n" + "\n".join(lines)


def _table(measured: Sequence[tuple[Step, Consumed]]) -> str:
    """What was counted; where the engine's own figures are not those of the rules, they follow."""
    heads = ("", "calls", "WU table", "WU index", "RU", "S3 put", "S3 get", "tasks", "CPU ms", "engine says otherwise")
    return table(heads, [_line(step, used) for step, used in measured])


def _line(step: Step, used: Consumed) -> tuple[str, ...]:
    units = (used.table_writes, used.index_writes, used.reads)
    differs = abs(used.stated - sum(units)) > _ALIKE
    stated = f"{used.stated_table:g} + {used.stated_index:g}" if differs else ""
    counts = (used.puts, used.gets, len(used.tasks))
    return (
        step.name,
        str(len(used.calls)),
        *(f"{each:g}" for each in units),
        *map(str, counts),
        f"{used.milliseconds:.0f}",
        stated,
    )


def _markdown(measured: Sequence[tuple[Step, Consumed]]) -> str:
    lines = [
        "| route | write units, table + index | read units | S3 put, get | ms billed | $ a million | of it DynamoDB |",
        "|---|---|---|---|---|---|---|",
    ]
    for step, used in measured:
        data = used.writes * WRITE_UNIT + used.reads * READ_UNIT
        total = data + used.puts * S3_PUT + used.gets * S3_GET + INVOCATION + _duration(step, used)
        total += 0 if step.name.startswith("worker") else GATEWAY
        writes = f"{used.table_writes:g} + {used.index_writes:g}" if used.writes else ""
        objects = f"{used.puts}, {used.gets}" if used.puts + used.gets else ""
        lines.append(
            f"| {_as_code(step.name)} | {writes} | {f'{used.reads:g}' if used.reads else ''} | {objects} "
            f"| {_billed_milliseconds(step, used):.0f} | {total:.2f} | {data:.2f} |"
        )
    return "\n".join(lines)


def _as_code(name: str) -> str:
    route, colon, rest = name.partition(":")
    return f"{name}" if route == "worker" else f"`{route}`{colon}{rest}"


def _billed_milliseconds(step: Step, used: Consumed) -> float:
    """An assumption: each call's latency, and the CPU that was measured at the share of a core that the memory buys."""
    rounds = len(used.calls) if len(used.calls) < _THREADS else len(used.calls) / _THREADS
    return rounds * CALL_MILLISECONDS + used.milliseconds / min(1.0, step.memory / _MEGABYTES_PER_CORE)


def _duration(step: Step, used: Consumed) -> float:
    """Dollars of a million invocations that long."""
    return _billed_milliseconds(step, used) / 1000 * step.memory / 1024 * GIGABYTE_SECOND


if __name__ == "__main__":
    main()
