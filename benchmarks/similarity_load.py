"""Loading an index from a snapshot and from the table, and one page of vectors packed and as lists of numbers."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks.capacity_rules import item_size
from benchmarks.similarity_canned import Objects, attribute, index_item, install, pages_of
from benchmarks.similarity_data import (
    DIMENSION,
    Turns,
    cpu_milliseconds,
    index_rows,
    middle,
    moment,
    product,
    product_id,
    ratio,
    table,
    take_turns,
    vectors,
)
from shared.database.embeddings import EmbeddingRepository
from shared.database.index_rows import IndexRow
from shared.models.fields import now
from shared.similarity.cache import IndexCache
from shared.similarity.index import ModelIndex, Query
from shared.similarity.manifest import Manifest
from shared.similarity.objects import ObjectStore
from shared.similarity.segment import SEGMENT_ROWS, Segment
from shared.similarity.snapshot import Published, SnapshotStore
from shared.tasks import set_local_worker
from tests.support.object_store import MemoryObjects

OWNER, MODEL = "11111111-1111-4111-8111-111111111111", "clip-vit-b-32"
_BOOKKEEPING = 600
"""Bytes of a row that the index does not read: its owner, model version, times, version and last four writes."""

_PAGE = 100


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure loading, and how vectors are kept.")
    parser.add_argument("what", choices=("load", "page"))
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    set_local_worker(lambda task: None)
    print(measure_page(options.rounds) if options.what == "page" else measure_load(options.rows, options.rounds))


def measure_load(count: int, rounds: int) -> str:
    """CPU of a cold index, as the service makes it, by each of the two ways."""
    matrix = vectors("clustered", count)
    rows = index_rows(matrix)
    items = [index_item(row) for row in rows]
    pages, number = pages_of(items, [item_size(item) + _BOOKKEEPING for item in items])
    nothing, _ = pages_of([], [])
    del items
    snapshot = _snapshot(rows)
    queue = {"snapshot": snapshot, "table": {}}
    bucket = Objects({})
    source = _Switch()
    install(source, bucket)  # type: ignore[arg-type]

    def load(name: str) -> ModelIndex:
        bucket.bodies = queue[name]
        source.pages = nothing if name == "snapshot" else pages
        return IndexCache(ObjectStore(), EmbeddingRepository(), 1 << 40).index_of(OWNER, MODEL, DIMENSION)

    turns: Turns = []
    query = Query(matrix[0])
    for _ in range(rounds + 1):
        turn: dict[str, float] = {}
        for name in queue:
            loaded: list[ModelIndex] = []
            turn[name] = cpu_milliseconds(lambda name=name, loaded=loaded: loaded.append(load(name)))  # type: ignore[misc]
            assert len(loaded[0]) == count
            turn[f"{name}, and a search"] = turn[name] + cpu_milliseconds(lambda index=loaded[0]: index.search(query))  # type: ignore[misc]
        turns.append(turn)
    turns = turns[1:]
    sizes = {"snapshot": sum(map(len, snapshot.values())), "table": pages.nbytes}
    calls = {"snapshot": len(snapshot) + 1, "table": number + 1}
    lines = [
        (
            name,
            f"{middle(turns, name):.0f}",
            f"{middle(turns, f'{name}, and a search'):.0f}",
            f"{sizes[name] / 1e6:.0f}",
            str(calls[name]),
        )
        for name in queue
    ]
    return "\n".join(
        [
            f"\nA cold index of {count:,} rows of {DIMENSION}",
            table(("from", "CPU ms", "with first search", "MB read", "AWS calls"), lines),
            f"  the table takes {ratio(turns, 'table', 'snapshot'):.1f} times the CPU of the snapshot (goal: 20), "
            f"{ratio(turns, 'table, and a search', 'snapshot, and a search'):.1f} times with a first search",
        ]
    )


class _Switch:
    """Pages that can be exchanged."""

    pages: Any = None

    def respond(self, request: Any, **options: object) -> Any:
        return self.pages.respond(request, **options)


def _snapshot(rows: Sequence[IndexRow]) -> dict[str, bytes]:
    """A bucket with a snapshot of these rows."""
    objects = MemoryObjects()
    store = SnapshotStore(objects, OWNER, MODEL)
    chunks = (rows[start : start + SEGMENT_ROWS] for start in range(0, len(rows), SEGMENT_ROWS))
    refs = tuple(store.add(Segment.of(chunk, DIMENSION)) for chunk in chunks)
    manifest = Manifest(dimension=DIMENSION, watermark=now(), complete_at=now(), segments=refs)
    assert store.publish(manifest, Published(None, None))
    return objects.bodies


def measure_page(rounds: int) -> str:
    """CPU, stored bytes and bytes on the wire of a page of 100 vectors, through `list_embeddings`."""
    matrix = vectors("clustered", _PAGE)
    forms: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
        "Binary": lambda vector: vector.tobytes(),
        "numbers, shortest": lambda vector: [float(str(component)) for component in vector],
        "numbers, as float64": lambda vector: vector.tolist(),
    }
    rows = {name: [_row(number, form(matrix[number])) for number in range(_PAGE)] for name, form in forms.items()}
    pages = {name: pages_of(items, [0] * _PAGE)[0] for name, items in rows.items()}
    source = _Switch()
    install(source)  # type: ignore[arg-type]
    repository = EmbeddingRepository()
    read: dict[str, list[bytes]] = {}

    def reading(name: str) -> Callable[[int], object]:
        def call(_: int) -> None:
            source.pages = pages[name]
            page = repository.list_embeddings(OWNER, MODEL, _PAGE)
            read[name] = [embedding.embedding_vector.data for embedding in page.embeddings]

        return call

    turns = take_turns({name: reading(name) for name in forms}, rounds, 3)
    assert read["Binary"] == read["numbers, shortest"] == read["numbers, as float64"]
    lines = [
        (
            name,
            f"{middle(turns, name):.1f}",
            f"{ratio(turns, name, 'Binary'):.1f}",
            f"{_vector_bytes(rows[name]):.0f}",
            f"{_vector_bytes(rows[name]) / _vector_bytes(rows['Binary']):.2f}",
            f"{pages[name].nbytes / 1e6:.2f}",
        )
        for name in forms
    ]
    return "\n".join(
        [
            f"\nA page of {_PAGE} rows with vectors of {DIMENSION} (goal: 30 times less CPU, 2.4 times fewer bytes)",
            table(("vectors as", "CPU ms", "times", "bytes stored per vector", "times", "MB on the wire"), lines),
        ]
    )


def _row(number: int, vector: Any) -> dict[str, Any]:
    """A whole row, as the repository writes it."""
    entry = f"{moment(number)} 0f8fad5b-d9cb-469f-a165-70867728950e 0123456789abcdef"
    row = {
        "product_id": product_id(number),
        "owner_model": f"{OWNER}#{MODEL}",
        "user_id": OWNER,
        "model_version": MODEL,
        "embedding_vector": vector,
        "vector_dimension": DIMENSION,
        "product": product(number),
        "created_at": moment(number),
        "updated_at": moment(number),
        "version": 1,
        "write_1": entry,
    }
    return {name: attribute(value) for name, value in row.items()}


def _vector_bytes(rows: Sequence[dict[str, Any]]) -> float:
    return sum(item_size({"": row["embedding_vector"]}) for row in rows) / len(rows)


if __name__ == "__main__":
    main()
