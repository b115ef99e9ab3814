"""The product with one piece broken: the machine has to notice each within so many steps."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from shared import binding
from shared.account import erasing
from shared.auth import Caller
from shared.avatars import removing
from shared.database import conditions, embeddings, failures, parallel, reports, writes
from shared.database.account_rows import AccountRows
from shared.database.attributes import from_item, to_item
from shared.database.cursors import Position, decode_cursor, encode_cursor
from shared.database.repository import Repository, operation
from shared.database.writes import Change, WriteId
from shared.errors import ApiError, TooManyRequests, Unavailable
from shared.models.filters import parse_filter
from shared.similarity import cache, loading

from .faults import LOSSES, THROTTLES

Patch = AbstractContextManager[Any]


@dataclass(frozen=True)
class Broken:
    """One broken variant; `rules` are drawn more often than the others, so that it is met soon."""

    name: str
    apply: Callable[[], Patch]
    rules: tuple[str, ...]
    fault: str = ""
    """The fault under which alone it shows."""


def _read_of_anybody() -> Patch:
    def read(self: Any, target: Any) -> Any:
        answer = self._manager.call("get_item", TableName=target.table, Key=to_item(target.key), ConsistentRead=True)
        if "Item" not in answer:
            raise target.missing()
        return from_item(answer["Item"])

    return patch.object(Repository, "_read_own", read)


def _always(name: str) -> Patch:
    """A condition of writes that holds for every row."""
    original = getattr(conditions, name)

    def always(*arguments: Any) -> conditions.Condition:
        condition: conditions.Condition = original(*arguments)
        return condition | ~condition

    return patch.object(writes, "conditions", SimpleNamespace(**{**vars(conditions), name: always}))


def _cursor_with_partition() -> Patch:
    @operation
    def list_reports(self: Any, user_id: str, limit: int = 20, cursor: str | None = None) -> Any:
        owner, start = user_id, None
        if cursor is not None:
            found = decode_cursor(cursor)
            owner, _, row_id = found.id.partition("|")
            start = Position(found.time, row_id)
        rows, is_last = self._read_page(owner, limit, start)
        shown = [reports._to_report(row) for row in rows]
        if is_last or not shown:
            return reports.ReportPage(shown, None)
        last = Position(shown[-1].created_at, f"{owner}|{shown[-1].id}")
        return reports.ReportPage(shown, encode_cursor(last))

    return patch.object(reports.ReportRepository, "list_reports", list_reports)


def _first_page_alone() -> Patch:
    original = reports.ReportRepository._read_page

    def read(self: Any, *arguments: Any) -> Any:
        return original(self, *arguments)[0], True

    return patch.object(reports.ReportRepository, "_read_page", read)


def _favorites_read_and_replaced() -> Patch:
    @operation
    def add(self: Any, report_id: str, user_id: str, product_id: str, terms: Any = None) -> Any:
        favorites = self.get_report(report_id, user_id).favorites | {product_id}
        return self._update(report_id, user_id, Change(sets={"favorites": favorites}), terms)

    return patch.object(reports.ReportRepository, "add_favorite", add)


@contextmanager
def _indexes_of_anybody() -> Iterator[None]:
    entry, index_of = cache.IndexCache._entry, cache.IndexCache.index_of

    def shared_entry(self: Any, key: Any) -> Any:
        return entry(self, ("", key[1]))

    def undeclared(self: Any, *arguments: Any, declared_at: str = "") -> Any:
        return index_of(self, *arguments)

    with ExitStack() as stack:
        stack.enter_context(patch.object(cache.IndexCache, "_entry", shared_entry))
        stack.enter_context(patch.object(cache.IndexCache, "index_of", undeclared))
        yield


def _deleted_without_a_trace() -> Patch:
    @operation
    def delete(self: Any, product_id: str, user_id: str, model_version: str, terms: Any = None) -> None:
        self.get_embedding(product_id, user_id, model_version)
        target = self._target(product_id, user_id, model_version)
        self._manager.call("delete_item", TableName=target.table, Key=to_item(target.key))

    return patch.object(embeddings.EmbeddingRepository, "delete_embedding", delete)


def _throttled_taken_for_made() -> Patch:
    original = writes.create

    def create(manager: Any, target: Any, row: Any, write: Any) -> Any:
        try:
            return original(manager, target, row, write)
        except TooManyRequests:
            return from_item(to_item(row))

    return patch.object(writes, "create", create)


def _lost_taken_for_unavailable() -> Patch:
    class Nothing(Unavailable):
        def __init__(self) -> None:
            super().__init__("Nothing was changed.")

    return patch.object(failures, "OutcomeUnknown", Nothing)


def _key_of_everybody() -> Patch:
    original = binding._derived_write

    def derived(key: str, user_id: str, route: str, request: Any) -> WriteId:
        return replace(original(key, "", route, request), id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{route} {key}")))

    return patch.object(binding, "_derived_write", derived)


def _failures_taken_for_stored() -> Patch:
    original = parallel.run_all

    def run_all(calls: Any) -> list[Any]:
        outcomes = original(calls)
        return [
            call.args[0] if isinstance(outcome, ApiError) and call.args else outcome
            for call, outcome in zip(calls, outcomes, strict=True)
        ]

    return patch.object(embeddings, "run_all", run_all)


def _filter_forgotten() -> Patch:
    original = cache.IndexCache.search

    def search(self: Any, owner: str, model: str, dimension: int, query: Any, **more: Any) -> Any:
        return original(self, owner, model, dimension, replace(query, filter=parse_filter({})), **more)

    return patch.object(cache.IndexCache, "search", search)


def _erasure_of_the_half() -> Patch:
    return patch.object(AccountRows, "delete_reports", lambda *_: 0)


def _erasure_without_a_second_pass() -> Patch:
    return patch.object(erasing._Erasing, "_erase_all", lambda self, *, tombstones: None)


VARIANTS = (
    Broken("a read takes anybody's row", _read_of_anybody, ("use_anothers_report",)),
    Broken("a write takes anybody's row", lambda: _always("owned_by"), ("use_anothers_report",)),
    Broken("a write forgets If-Match", lambda: _always("at_version"), ("update_report", "update_product")),
    Broken("a cursor carries the partition key", _cursor_with_partition, ("use_anothers_cursor",)),
    Broken("a list has its first page alone", _first_page_alone, ("create_report", "list_reports")),
    Broken("favourites are read and replaced", _favorites_read_and_replaced, ("two_favorites_at_once",)),
    Broken("indexes are kept by model version alone", _indexes_of_anybody, ("search", "time_passes")),
    Broken("a delete leaves no tombstone", _deleted_without_a_trace, ("delete_embedding", "search")),
    Broken(
        "a throttled create is answered as made",
        _throttled_taken_for_made,
        ("create_report", "list_reports"),
        THROTTLES[1],
    ),
    Broken(
        "a lost answer is told as nothing changed",
        _lost_taken_for_unavailable,
        ("update_report", "get_report"),
        LOSSES[1],
    ),
    Broken(
        "a write does not know itself again",
        lambda: patch.object(writes, "has_made", lambda row, write: False),
        ("update_report", "repeat_a_key"),
        LOSSES[0],
    ),
    Broken("an Idempotency-Key is everybody's", _key_of_everybody, ("the_same_key_of_two_users",)),
    Broken("a failed item is answered as stored", _failures_taken_for_stored, ("store_batch",), THROTTLES[1]),
    Broken("a search forgets its filter", _filter_forgotten, ("search",)),
    Broken(
        "an index is not read again where it overlaps",
        lambda: patch.object(loading, "reread_from", lambda watermark: watermark),
        ("search_what_lagged",),
    ),
    Broken(
        "everybody may write the shared catalogue",
        lambda: patch.object(Caller, "require_group", lambda *_: None),
        ("write_the_shared_catalogue",),
    ),
    Broken(
        "an avatar goes with everybody's",
        lambda: patch.object(removing, "avatar_prefix", lambda _: "avatars/"),
        ("take_anothers_avatar", "upload_and_check"),
    ),
    Broken("an erasure leaves the reports", _erasure_of_the_half, ("begin_erasure",)),
    Broken("an erasure erases nothing", _erasure_without_a_second_pass, ("finish_erasure",)),
)

QUICK = ("a read takes anybody's row", "a cursor carries the partition key", "favourites are read and replaced")
