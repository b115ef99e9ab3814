"""Accounts to be erased or copied: what one holds, how a worker goes on with it, and what is left of it."""

import io
import json
import zipfile
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared.account.erasing import erase
from shared.account.erasures import ErasureStore
from shared.account.places import owned_prefixes
from shared.account.resuming import due_tasks
from shared.account.status_object import CLAIM
from shared.database import DatabaseManager, DBReport, EmbeddingRepository, ReportRepository, UserRepository
from shared.database.settled import Settled
from shared.models.embedding import DBProductEmbedding
from shared.models.fields import now, parse_timestamp, timestamp
from shared.models.user import DBUser
from shared.models.vector import Vector
from shared.similarity.objects import ObjectStore

TOKEN_LIFE = timedelta(minutes=60)


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Clock:
    """The time of day, moved on by hand. A worker that was killed keeps its claim until CLAIM is over."""

    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> str:
        return timestamp(parse_timestamp(now()) + self.ahead)

    def seconds(self) -> float:
        return parse_timestamp(self()).timestamp()

    def pass_time(self, **time: float) -> None:
        self.ahead += timedelta(**time)

    def pass_to(self, moment: str) -> None:
        self.ahead += max(timedelta(0), parse_timestamp(moment) - parse_timestamp(self()) + timedelta(seconds=1))


def versioned(objects: ObjectStore) -> ObjectStore:
    """The template's bucket keeps versions."""
    objects.client.put_bucket_versioning(
        Bucket=objects.settings.similarity_bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    return objects


def warm(manager: DatabaseManager, clock: Clock) -> DatabaseManager:
    """Another process over the same tables, which remembers what it has read."""
    other = DatabaseManager(manager.settings, manager.client)
    other.settled = Settled(clock.seconds)
    return other


def embed(manager: DatabaseManager, owner: str, product_id: str, model_version: str = "m", dimension: int = 2) -> None:
    vector = Vector.of([1.0 + len(product_id), *[0.5] * (dimension - 1)])
    row = DBProductEmbedding(
        user_id=owner, product_id=product_id, model_version=model_version, embedding_vector=vector, product={"p": 1.50}
    )
    EmbeddingRepository(manager).store_embedding(row, profile=DBUser(user_id=owner, name=f"{owner}'s name"))


def settle_in(
    manager: DatabaseManager, objects: ObjectStore, owner: str, *, reports: int = 2, products: int = 3
) -> None:
    """A profile, reports, embeddings of two model versions, and an object of every kind, one of them replaced."""
    UserRepository(manager).ensure_user(DBUser(user_id=owner, name=f"{owner}'s name", preferences={"a": 1}))
    for number in range(reports):
        ReportRepository(manager).create_report(
            DBReport(user_id=owner, title=f"r{number}", reference={"price": 249.99}, favorites={"f1", "f2"})
        )
    for number in range(products):
        embed(manager, owner, f"p{number}")
    embed(manager, owner, "q", "n/1@x", 3)
    for prefix in owned_prefixes(owner):
        objects.put(f"{prefix}m/object", b"old")
        objects.put(f"{prefix}m/object", owner.encode())
    objects.call("create_multipart_upload", Key=f"{owned_prefixes(owner)[0]}unfinished")


@dataclass
class Erasure:
    """One account's erasure, and the worker that goes on with it."""

    manager: DatabaseManager
    objects: ObjectStore
    owner: str
    clock: Clock = field(default_factory=Clock)

    @property
    def store(self) -> ErasureStore:
        return ErasureStore.of_user(self.objects, self.owner, clock=self.clock)

    def request(self) -> str:
        return self.store.request(self.owner, TOKEN_LIFE).id

    def work(self, check: Any = lambda: None) -> None:
        """A worker, as far as it gets."""
        status = self.store.status()
        assert status
        erase(
            self.objects,
            account=self.store.account,
            erasure_id=status.id,
            check=check,
            manager=self.manager,
            clock=self.clock,
        )

    def wait(self) -> None:
        """Until a worker may go on."""
        status = self.store.status()
        assert status
        if status.state == "running":
            self.clock.pass_time(seconds=CLAIM.total_seconds() + 1)
        elif status.is_pending:
            self.clock.pass_to(status.due_at)

    def stage(self) -> str:
        status = self.store.status()
        assert status
        return status.state if status.state == "done" else status.stage

    def is_due(self) -> bool:
        return any(due.task.get("account") == self.store.account for due in due_tasks(self.objects, self.clock()))

    def finish(self) -> None:
        for _ in range(20):
            if self.stage() == "done" and not self.is_due():
                return
            self.wait()
            self.work()
        raise AssertionError(f"still at {self.stage()}")


def keys_of(objects: ObjectStore, owner: str) -> list[str]:
    """Every version, marker and unfinished upload of an account, read as S3 tells them."""
    left: list[str] = []
    for prefix in owned_prefixes(owner):
        answer = objects.call("list_object_versions", Prefix=prefix)
        left += [found["Key"] for kind in ("Versions", "DeleteMarkers") for found in answer.get(kind, [])]
        left += [found["Key"] for found in objects.call("list_multipart_uploads", Prefix=prefix).get("Uploads", [])]
    return left


def every_version(objects: ObjectStore, prefix: str = "") -> list[tuple[str, str, str]]:
    """Key, version and ETag of all that the bucket holds below a prefix."""
    answer = objects.call("list_object_versions", Prefix=prefix)
    return [
        (found["Key"], found["VersionId"], found.get("ETag", "marker"))
        for kind in ("Versions", "DeleteMarkers")
        for found in answer.get(kind, [])
    ]


def opened(body: bytes) -> dict[str, Any]:
    """The files of a copy by name: NDJSON as a list of documents, its numbers as texts, the manifest as one."""
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    return {
        name: [json.loads(line, parse_float=str) for line in text.splitlines()]
        if name.endswith(".ndjson")
        else json.loads(text)
        for name, text in texts.items()
    }
