"""Counting products: by the snapshot's ids and what changed since, the same with and without one."""

from typing import Any

import pytest

from shared.database.embeddings import EmbeddingRepository
from shared.database.manager import DatabaseManager
from shared.errors import Unavailable
from shared.models.embedding import DBProductEmbedding
from shared.models.vector import Vector
from shared.similarity import jobs
from shared.similarity.manifest import Manifest
from shared.similarity.objects import default_objects
from shared.similarity.snapshot import SnapshotStore
from shared.similarity.summary import count_products
from tests.support.faults import requests_sent
from tests.support.logs import Logged
from tests.support.logs import logged as logged

OWNER, MODEL = "alice", "v1"
PREFIX = f"similarity/{OWNER}/{MODEL}/"


def store(*product_ids: str, owner: str = OWNER) -> None:
    for product_id in product_ids:
        EmbeddingRepository.store_embedding(
            DBProductEmbedding(
                product_id=product_id, user_id=owner, model_version=MODEL, embedding_vector=Vector.of([1, 2])
            )
        )


def delete(*product_ids: str) -> None:
    for product_id in product_ids:
        EmbeddingRepository.delete_embedding(product_id, OWNER, MODEL)


def snapshot() -> Manifest:
    manifest = jobs.build_snapshot(default_objects(), OWNER, MODEL, check=lambda: None)
    assert manifest
    return manifest


def count(owner: str = OWNER) -> int:
    return count_products(default_objects(), EmbeddingRepository(), owner, MODEL)


def test_nothing(manager: DatabaseManager) -> None:
    assert count() == 0
    store("p1")
    delete("p1")
    assert count() == 0
    snapshot()
    assert count() == 0


def test_without_a_snapshot(manager: DatabaseManager) -> None:
    store("p1", "p2", "p3", "p2")
    delete("p1")
    store("p1")
    delete("p3")
    store("p1", "p9", owner="bob")
    assert (count(), count("bob")) == (2, 2)


def test_with_a_snapshot_and_what_changed_since(manager: DatabaseManager) -> None:
    store("p1", "p2", "p3", "p4")
    delete("p4")
    snapshot()
    assert count() == 3
    delete("p1", "p2")
    store("p2", "p3", "p4", "p5")
    assert count() == 4
    snapshot()
    assert count() == 4


def test_rows_that_a_snapshot_holds_as_dead_do_not_count(manager: DatabaseManager) -> None:
    store("p1", "p2", "p3", "p4")
    snapshot()
    delete("p1")
    store("p2")
    manifest = snapshot()
    assert any(ref.dead for ref in manifest.segments)
    assert count() == 3


def test_what_has_not_changed_is_read_by_its_keys_alone(manager: DatabaseManager) -> None:
    store("p1", "p2")
    manifest = snapshot()
    s3: Any = type("Holder", (), {"client": default_objects().client})
    with requests_sent(manager) as queries, requests_sent(s3) as reads:
        assert count() == 2
    assert [parameters.get("Range") for _, parameters in reads] == [
        None,
        f"bytes=0-{manifest.segments[0].keys_bytes - 1}",
    ]
    ((_, query),) = queries
    assert "embedding_vector" not in query["ProjectionExpression"]
    assert ":since" in query["ExpressionAttributeValues"]


@pytest.mark.parametrize("damage", ["manifest", "segment", "missing", "short"])
def test_a_damaged_snapshot_is_ignored_with_a_warning(manager: DatabaseManager, logged: Logged, damage: str) -> None:
    store("p1", "p2", "p3")
    objects, name = default_objects(), snapshot().segments[0].name
    delete("p1")
    if damage == "manifest":
        objects.put(f"{PREFIX}manifest.json", b"{}")
    elif damage == "missing":
        objects.delete([f"{PREFIX}segments/{name}"])
    else:
        objects.put(f"{PREFIX}segments/{name}", b"" if damage == "short" else b"x" * 1000)
    assert count() == 2
    assert [record["level"] for record in logged.records()] == ["WARNING"]


def test_no_answer_is_no_count(manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: SnapshotStore) -> None:
        raise Unavailable("S3 does not answer.")

    monkeypatch.setattr(SnapshotStore, "current", fail)
    with pytest.raises(Unavailable):
        count()


class TestAsking:
    @pytest.fixture(autouse=True)
    def asked(self, manager: DatabaseManager, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        tasks: list[dict[str, Any]] = []
        monkeypatch.setattr("shared.similarity.asking.request_task", tasks.append)
        monkeypatch.setattr("shared.similarity.summary.SNAPSHOT_ROWS", 3)
        return tasks

    def test_for_few_changes_no_snapshot_is_asked_for(self, asked: list[dict[str, Any]]) -> None:
        store("p1", "p2")
        assert count() == 2
        assert asked == []

    def test_for_many_one_is_however_often_they_are_counted(self, asked: list[dict[str, Any]]) -> None:
        store("p1", "p2", "p3", "p4")
        delete("p4")
        store("p1", "p2", "p3", owner="bob")
        for _ in range(5):
            assert (count(), count("bob")) == (3, 3)
        assert [(task["owner"], task["model_version"], task["full"]) for task in asked] == [
            (OWNER, MODEL, False),
            ("bob", MODEL, False),
        ]

    def test_a_count_does_not_fail_because_nobody_can_be_asked(
        self, logged: Logged, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(task: object) -> None:
            raise Unavailable("no worker")

        monkeypatch.setattr("shared.similarity.asking.request_task", fail)
        store("p1", "p2", "p3", "p4")
        assert [count() for _ in range(3)] == [4] * 3
        assert [record["level"] for record in logged.records()] == ["WARNING"]
