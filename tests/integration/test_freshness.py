"""A search is fresh whichever process serves it: two processes at work at once, and one killed amid a snapshot."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from scripts.local.folder import PROJECT
from shared.database.embeddings import EmbeddingRepository
from shared.process import renew
from shared.similarity import jobs
from shared.similarity.objects import default_objects, object_prefix
from shared.similarity.snapshot import SnapshotStore
from tests.support import freshness
from tests.support.engines import ministack_engine
from tests.support.freshness import MODEL, MUCH_MEMORY, OWNER, STEPS, History, Journal, wrong_answers

SECONDS = 150
LONG_AGO = timedelta(days=1)


@pytest.fixture(autouse=True)
def stored(tmp_path: Path, environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A store of its own has the tables and the bucket that this process and its children work with."""
    with ministack_engine(tmp_path / "store") as engine:
        assert engine.endpoint
        for name, value in engine.settings(engine.endpoint).environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", engine.endpoint)
        renew()
        objects = default_objects()
        objects.client.create_bucket(Bucket=objects.settings.similarity_bucket)
        yield


def start(role: str, folder: Path, seed: int) -> subprocess.Popen[bytes]:
    path = os.pathsep.join(map(str, (PROJECT / "src", PROJECT)))
    command = [sys.executable, "-m", "tests.support.freshness", role, str(folder), str(seed)]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, cwd=PROJECT)


def test_nothing_stale_is_ever_found_while_another_process_writes(tmp_path: Path) -> None:
    processes = [start(role, tmp_path, seed=1) for role in ("write", "search")]
    try:
        codes = [process.wait(SECONDS) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    written, searched = (list(Journal(tmp_path / f"{role}.jsonl").news()) for role in ("write", "search"))
    assert codes == [0, 0]
    history = History.of(written)
    assert wrong_answers(history, searched) == []
    assert sum("item" in line for line in written) == STEPS + freshness.FIRST_PRODUCTS
    for lines in (written, searched):
        snapshots = Counter((line["snapshot"], line["full"]) for line in lines if "snapshot" in line)
        assert snapshots["published", True] >= 3
        assert snapshots["published", False] >= 3
        assert not snapshots["failed", True] + snapshots["failed", False]
        assert next(line["hidden"] for line in lines if "hidden" in line) >= 50
    answers = Counter(line["streamed"] for line in searched if "streamed" in line)
    assert answers[True] >= 30
    assert answers[False] >= 30


def found_now() -> dict[str, int]:
    """The products that a cold cache finds, by the number of their last write."""
    hits = freshness.new_cache(MUCH_MEMORY).search(OWNER, MODEL, freshness.DIMENSION, freshness.everything())
    return {hit.product_id: int(str(hit.product["write"])) for hit in hits}


def segments() -> set[str]:
    infos = default_objects().list(f"{object_prefix(OWNER, MODEL)}segments/")
    return {info.key.rpartition("/")[2] for info in infos}


def test_a_writer_that_is_killed_amid_a_snapshot_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {f"p{number}": number for number in range(3 * freshness.SEGMENT_ROWS)}
    EmbeddingRepository.store_embeddings([freshness.product_embedding(*pair) for pair in expected.items()])
    orphans, manifests = set[str](), set[str]()
    for half_call in range(10):  # before and after each of the puts of some segments and a manifest
        before = segments()
        writer = start("build", tmp_path, half_call)
        is_killed = writer.wait(SECONDS) == -signal.SIGKILL
        assert found_now() == expected
        manifest = SnapshotStore(default_objects(), OWNER, MODEL).read()
        manifests.add(manifest.id if manifest else "")
        orphans |= segments() - before - (manifest.names if manifest else set())
        product_id = f"p{half_call}"
        if half_call % 2:
            EmbeddingRepository.delete_embedding(product_id, OWNER, MODEL)
            del expected[product_id]
        else:
            expected[product_id] = 1000 + half_call
            EmbeddingRepository.store_embedding(freshness.product_embedding(product_id, 1000 + half_call))
        assert found_now() == expected
        if not is_killed:
            break
    assert half_call >= 8
    assert len(orphans) >= 6
    assert len(manifests) >= 2
    assert jobs.build_snapshot(default_objects(), OWNER, MODEL, check=lambda: None)
    assert found_now() == expected
    assert orphans <= segments()
    monkeypatch.setattr("shared.similarity.snapshot.GRACE", -LONG_AGO)
    manifest = jobs.build_snapshot(default_objects(), OWNER, MODEL, full=True, check=lambda: None)
    assert manifest
    assert segments() == manifest.names
    assert found_now() == expected
