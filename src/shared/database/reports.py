"""Reports: the table's repository."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..errors import Conflict
from ..models import json_text
from ..models.report import MAX_FAVORITES, DBReport, ReplaceFavorites, UpdateReport
from . import conditions, writes
from .attributes import Row, from_item
from .cursors import Position, decode_cursor, encode_cursor
from .pages import PAGE_BYTES, fitting, query_pages, raw_bytes
from .repository import Repository, completed, operation
from .writes import Change, Guard, Target, Terms, WriteId


@dataclass(frozen=True, slots=True)
class ReportPage:
    """Reports of one user, newest first; `next_cursor` is None on the last page."""

    reports: list[DBReport]
    next_cursor: str | None


class ReportRepository(Repository):
    """The reports table. A report belongs to the user who made it, for good."""

    kind = "report"
    index = "UserReportsIndex"

    @operation
    def create_report(self, report: DBReport, *, write: WriteId | None = None) -> DBReport:
        """Store a new report. Raises Conflict where its id is taken; a repeat of one write returns the row it made."""
        target = self._target(report.id, report.user_id)
        return _to_report(writes.create(self._manager, target, _to_row(report), write or WriteId()))

    @operation
    def get_report(self, report_id: str, user_id: str) -> DBReport:
        """The user's report. Raises NotFound where it is missing or another user's."""
        return _to_report(self._read_own(self._target(report_id, user_id)))

    @operation
    def list_reports(self, user_id: str, limit: int = 20, cursor: str | None = None) -> ReportPage:
        """A page of the user's reports, newest first: `limit` of them unless the page would grow too large.

        The index is eventually consistent: a report made a moment ago may be missing. Raises MalformedRequest for a
        cursor that is not one of ours.
        """
        start = decode_cursor(cursor) if cursor is not None else None
        rows, is_last = self._read_page(user_id, limit, start)
        reports = [_to_report(row) for row in rows]
        if is_last or not reports:
            return ReportPage(reports, None)
        return ReportPage(reports, encode_cursor(Position(reports[-1].created_at, reports[-1].id)))

    @operation
    def count_reports(self, user_id: str) -> int:
        """How many reports the user has, counted over every page of the index."""
        pages = self._query(user_id, Select="COUNT")
        return sum(page["Count"] for page in pages)

    @operation
    def contents(self, user_id: str, names: Sequence[str]) -> Iterator[list[Row]]:
        """These attributes of every report of the user, as far as each has them, page by page."""
        projection = {f"#{name}": name for name in names}
        for page in self._query(user_id, projection, ProjectionExpression=", ".join(projection)):
            yield [from_item(item) for item in page["Items"]]

    @operation
    def update_report(
        self, report_id: str, user_id: str, changes: UpdateReport | Mapping[str, Any], terms: Terms | None = None
    ) -> DBReport:
        """Change the members that `changes` names. Raises as `writes.update` does, ValidationError for a bad value."""
        if not isinstance(changes, UpdateReport):
            changes = UpdateReport.model_validate(dict(changes))
        change = Change(sets={name: getattr(changes, name) for name in changes.model_fields_set})
        return self._update(report_id, user_id, change, terms)

    @operation
    def delete_report(self, report_id: str, user_id: str, versions: Collection[int] | None = None) -> None:
        """Delete the user's report. Raises NotFound or PreconditionFailed."""
        writes.delete(self._manager, self._target(report_id, user_id), versions)

    @operation
    def add_favorite(self, report_id: str, user_id: str, product_id: str, terms: Terms | None = None) -> DBReport:
        """Make a product a favourite; nothing is written where it is one, unless a key asks for the write to stay.

        Raises Conflict above MAX_FAVORITES.
        """
        keyed = terms is not None and terms.write.is_keyed
        room = conditions.room_for(product_id, MAX_FAVORITES)
        guard = Guard(
            room if keyed else room & ~conditions.favorite(product_id),
            lambda row: _is_favorite_or_fits(row, product_id) and not keyed,
        )
        return self._update(report_id, user_id, Change(adds={"favorites": {product_id}}), terms, guard)

    @operation
    def remove_favorite(self, report_id: str, user_id: str, product_id: str, terms: Terms | None = None) -> DBReport:
        """Make a product no favourite; nothing is written where it is none, unless a key asks for the write to stay."""
        keyed = terms is not None and terms.write.is_keyed
        is_none = Guard(conditions.favorite(product_id), lambda row: product_id not in row.get("favorites", ()))
        change = Change(deletes={"favorites": {product_id}})
        return self._update(report_id, user_id, change, terms, None if keyed else is_none)

    @operation
    def replace_favorites(
        self, report_id: str, user_id: str, product_ids: Collection[str], terms: Terms | None = None
    ) -> DBReport:
        """Make exactly these products the favourites. Raises ValidationError for a bad id or too many."""
        favorites = set(ReplaceFavorites(favorites=list(product_ids)).favorites)
        change = Change(sets={"favorites": favorites}) if favorites else Change(removes=["favorites"])
        return self._update(report_id, user_id, change, terms)

    def _update(
        self, report_id: str, user_id: str, change: Change, terms: Terms | None, guard: Guard | None = None
    ) -> DBReport:
        complete = replace(terms or Terms(), guard=guard)
        return _to_report(writes.update(self._manager, self._target(report_id, user_id), change, complete))

    def _read_page(self, user_id: str, limit: int, start: Position | None) -> tuple[list[Row], bool]:
        """Up to `limit` rows after `start`, and whether they are the last; one row more is read to know."""
        rows: list[Row] = []
        key: dict[str, Any] = {"ExclusiveStartKey": _start_key(user_id, start)} if start else {}
        for page in self._query(user_id, Limit=limit + 1, **key):
            rows += [from_item(item) for item in page["Items"]]
            is_last = "LastEvaluatedKey" not in page
            if len(rows) > limit or (rows and raw_bytes(page) >= PAGE_BYTES // 4):
                break
        kept = fitting(rows[:limit], _reference_bytes)
        return kept, is_last and len(kept) == len(rows)

    def _query(
        self, user_id: str, names: Mapping[str, str] | None = None, **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """Every page of the user's index partition; `names` are those of the parameters' expressions."""
        owned = conditions.owned_by(user_id)
        return query_pages(
            self._manager,
            TableName=self._manager.settings.reports_table,
            IndexName=self.index,
            KeyConditionExpression=owned.expression,
            ExpressionAttributeNames={**owned.names, **(names or {})},
            ExpressionAttributeValues=owned.values,
            **{"ScanIndexForward": False, **parameters},
        )

    def _target(self, report_id: str, user_id: str) -> Target:
        return Target(self._manager.settings.reports_table, {"id": report_id}, user_id, self.kind)


def _to_report(row: Row) -> DBReport:
    fields = completed(row)
    missing = {"author": "", "date": fields["created_at"][:10], "reference": None, "favorites": set()}
    return DBReport.model_construct(**{**missing, **fields})


def _to_row(report: DBReport) -> Row:
    """DynamoDB has no empty set: a report without favourites has no such attribute."""
    row = report.model_dump()
    if not row["favorites"]:
        del row["favorites"]
    return row


def _start_key(user_id: str, position: Position) -> dict[str, dict[str, str]]:
    return {"user_id": {"S": user_id}, "created_at": {"S": position.time}, "id": {"S": position.id}}


def _reference_bytes(row: Row) -> int:
    return len(json_text.dumps(row.get("reference")).encode())


def _is_favorite_or_fits(row: Row, product_id: str) -> bool:
    favorites = row.get("favorites", ())
    if product_id not in favorites and len(favorites) >= MAX_FAVORITES:
        raise Conflict(f"The report has {MAX_FAVORITES} favourites, which is the most. Remove one first.")
    return product_id in favorites
