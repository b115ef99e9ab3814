"""The product with one thing in the wrong order, or forgotten: each is a mistake that only a death shows, and that this
suite has to see.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from unittest.mock import patch

from handlers.embeddings import build_matrix
from handlers.reports import create_report
from shared.account.account_exports import ExportClaim
from shared.account.erasing import erase
from shared.account.erasures import ErasureStore
from shared.auth import Caller
from shared.avatars import checking
from shared.database import ReportRepository, Terms, conditions
from shared.database.writes import WriteId
from shared.models.report import CreateReport, DBReport, Report
from shared.similarity.objects import ObjectStore
from shared.similarity.uploads import complete_upload

Named = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Broken:
    """A variant of the product, and the scenario that has to tell it from one that is right."""

    name: str
    scenario: str
    variant: Callable[[], AbstractContextManager[object]]
    operation: str | None = None
    """Of which calls a death can show it, where these are few among many; None for any."""


@contextmanager
def _random_id() -> Iterator[None]:
    def create(caller: Caller, body: CreateReport, terms: Terms) -> Report:
        return Report.of(ReportRepository.create_report(DBReport(user_id=caller.user_id, title=body.title)))

    with patch.object(create_report.handler, "function", create):
        yield


@contextmanager
def _forgetful_rows() -> Iterator[None]:
    anything = conditions.absent("no_such_attribute")
    with (
        patch("shared.database.writes.has_made", lambda row, write: False),
        patch("shared.database.conditions.not_written_by", lambda write_id: anything),
    ):
        yield


@contextmanager
def _put_late(late: Named, until: Named) -> Iterator[None]:
    """Objects of the one kind are put only once one of the other kind has been."""
    held: list[Callable[[], object]] = []
    put = ObjectStore.put

    def put_in_another_order(self: ObjectStore, key: str, body: bytes, **options: Any) -> str:
        if late(key):
            held.append(partial(put, self, key, body, **options))
            return "an ETag"
        waiting = [*held] if until(key) else []
        held[:] = [] if waiting else held
        etag = put(self, key, body, **options)
        for put_now in waiting:
            put_now()
        return etag

    with patch.object(ObjectStore, "put", put_in_another_order):
        yield


def _manifest_first() -> AbstractContextManager[None]:
    return _put_late(lambda key: "/segments/" in key, lambda key: key.endswith("/manifest.json"))


def _status_first() -> AbstractContextManager[None]:
    return _put_late(lambda key: "/matrix/" in key and "status" not in key, lambda key: key.endswith("/status.json"))


@contextmanager
def _asked_once() -> Iterator[None]:
    ask = build_matrix._ask_worker

    def only_if_new(*arguments: Any, is_new: bool) -> None:
        if is_new:
            ask(*arguments, is_new=is_new)

    with patch.object(build_matrix, "_ask_worker", only_if_new):
        yield


@contextmanager
def _marker_first() -> Iterator[None]:
    def tidy_and_erase(objects: ObjectStore, *, account: str, erasure_id: str, check: Callable[[], None]) -> None:
        ErasureStore(objects, account).tidy(erasure_id)
        erase(objects, account=account, erasure_id=erasure_id, check=check)

    with patch("handlers.worker.erase", tidy_and_erase):
        yield


@contextmanager
def _done_first() -> Iterator[None]:
    advance = ExportClaim.advance

    def advance_and_complete(self: ExportClaim, status: Any) -> None:
        advance(self, status)
        if status.state == "done":
            complete_upload(self.store.objects, self.key, status.archive.upload_id, status.archive.etags)

    with (
        patch("shared.account.exporting.complete_upload", lambda *arguments: None),
        patch.object(ExportClaim, "advance", advance_and_complete),
    ):
        yield


@contextmanager
def _upload_first() -> Iterator[None]:
    judge = checking._judge

    def delete_and_judge(objects: ObjectStore, users: Any, upload: Any, stored: Any) -> Any:
        objects.delete_version(upload.key, stored.version)
        return judge(objects, users, upload, stored)

    with patch.object(checking, "_judge", delete_and_judge):
        yield


BROKEN = (
    Broken("a report is made under a random id", "POST /reports, with a key", _random_id),
    Broken("rows forget by whom they were changed", "PATCH /reports/{report_id}, with a key", _forgetful_rows),
    Broken(
        "items of a batch forget its key",
        "batch that replaces",
        lambda: patch("shared.database.embeddings._part", lambda write, index: WriteId()),
    ),
    Broken("a worker is asked once for a matrix", "matrix of several parts", _asked_once),
    Broken("a manifest is put before its segments", "snapshot from nothing", _manifest_first),
    Broken("a matrix is done before its rows are there", "matrix", _status_first),
    Broken("an erasure's marker goes before the work is done", "erasure, to its end", _marker_first),
    Broken(
        "a copy is done before its file is whole",
        "copy of an account, to its end",
        _done_first,
        "CompleteMultipartUpload",
    ),
    Broken("an upload goes before the profile names its image", "uploads of avatars", _upload_first),
)
