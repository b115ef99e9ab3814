"""Reports: their making and changing, favourites, search and files."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..api import UNSET, Call, IfMatch, Unset, given
from ..effects import Flow, HttpResponse, Plan
from ..files import file_in_memory, file_on_disk
from ..models.embeddings import Catalogue, Metric, ProductScore, SearchResult
from ..models.files import ExportedFile, ExportFormat
from ..models.reports import Favorites, Report, ReportList
from ..operations import (
    ADD_FAVORITE,
    CREATE_REPORT,
    DELETE_REPORT,
    EXPORT_REPORT,
    GET_REPORT,
    LIST_FAVORITES,
    LIST_REPORTS,
    REMOVE_FAVORITE,
    REPLACE_FAVORITES,
    SCORE_PRODUCT,
    SEARCH_REPORT,
    UPDATE_REPORT,
)
from ..paging import MAX_PAGE, walk
from ..surface import AsyncGroup, Group, SyncGroup, iteration, operation
from .searching import search_body


class ReportMethods(Group):
    @operation
    def create(
        self,
        title: str,
        *,
        reference: Mapping[str, Any] | None = None,
        author: str | None = None,
        date: str | None = None,
        idempotency_key: str | None = None,
    ) -> Plan[Report]:
        """A new report. The author defaults to the profile's name, the date (YYYY-MM-DD) to today (UTC)."""
        body = given(title=title, reference=reference, author=author, date=date)
        return self._api.fetch(Report, Call(CREATE_REPORT, body=body, idempotency_key=idempotency_key))

    @operation
    def get(self, report_id: str) -> Plan[Report]:
        """One of the caller's reports. Raises NotFound."""
        return self._api.fetch(Report, Call(GET_REPORT, _of(report_id)))

    @operation
    def list(
        self, *, limit: int | None = None, cursor: str | None = None, include_total: bool | None = None
    ) -> Plan[ReportList]:
        """One page, newest first; the next begins at `next_cursor`. `include_total` reads the whole index."""
        return self._page(limit, cursor, include_total)

    @iteration
    def pages(self, *, limit: int = MAX_PAGE) -> Flow[ReportList]:
        """Every page, newest first."""
        return walk(lambda cursor: self._page(limit, cursor), lambda page: [page])

    @iteration
    def iterate(self, *, limit: int = MAX_PAGE) -> Flow[Report]:
        """Every report, newest first; `limit` is how many one request asks for."""
        return walk(lambda cursor: self._page(limit, cursor), lambda page: page.reports)

    @operation
    def update(
        self,
        report_id: str,
        *,
        title: str | Unset = UNSET,
        author: str | Unset = UNSET,
        date: str | Unset = UNSET,
        reference: Mapping[str, Any] | Unset | None = UNSET,
        if_match: IfMatch = None,
        idempotency_key: str | None = None,
    ) -> Plan[Report]:
        """Replaces what is given; `reference=None` removes the reference. Raises PreconditionFailed, NotFound."""
        body = {"title": title, "author": author, "date": date, "reference": reference}
        call = Call(UPDATE_REPORT, _of(report_id), body=body, if_match=if_match, idempotency_key=idempotency_key)
        return self._api.fetch(Report, call)

    @operation
    def delete(self, report_id: str, *, if_match: IfMatch = None) -> Plan[None]:
        """Deletes the report. Raises NotFound, PreconditionFailed."""
        return self._api.remove(Call(DELETE_REPORT, _of(report_id), if_match=if_match))

    @operation
    def favorites(self, report_id: str) -> Plan[Favorites]:
        """The ids of the favourite products."""
        return self._api.fetch(Favorites, Call(LIST_FAVORITES, _of(report_id)))

    @operation
    def replace_favorites(
        self,
        report_id: str,
        product_ids: Iterable[str],
        *,
        if_match: IfMatch = None,
        idempotency_key: str | None = None,
    ) -> Plan[Favorites]:
        """Makes these the favourites, at most 500."""
        body = {"favorites": [*product_ids]}
        call = Call(REPLACE_FAVORITES, _of(report_id), body=body, if_match=if_match, idempotency_key=idempotency_key)
        return self._api.fetch(Favorites, call)

    @operation
    def add_favorite(
        self, report_id: str, product_id: str, *, if_match: IfMatch = None, idempotency_key: str | None = None
    ) -> Plan[Favorites]:
        """Makes a product a favourite. Raises Conflict where there are 500."""
        path = _of(report_id, product_id)
        return self._api.fetch(Favorites, Call(ADD_FAVORITE, path, if_match=if_match, idempotency_key=idempotency_key))

    @operation
    def remove_favorite(
        self, report_id: str, product_id: str, *, if_match: IfMatch = None, idempotency_key: str | None = None
    ) -> Plan[Favorites]:
        """Makes a product no favourite."""
        path = _of(report_id, product_id)
        return self._api.fetch(
            Favorites, Call(REMOVE_FAVORITE, path, if_match=if_match, idempotency_key=idempotency_key)
        )

    @operation
    def search(
        self,
        report_id: str,
        *,
        model_version: str,
        embedding_vector: Iterable[float] | None = None,
        top_k: int | None = None,
        min_score: float | None = None,
        filter: Mapping[str, Any] | None = None,
        metric: Metric | None = None,
        diversity: float | None = None,
        catalogue: Catalogue | None = None,
        include_vectors: bool | None = None,
    ) -> Plan[SearchResult]:
        """Products like the report's reference, or like a vector; each hit says whether it is a favourite."""
        body = search_body(
            model_version, embedding_vector, top_k, min_score, filter, metric, diversity, catalogue, include_vectors
        )
        return self._api.fetch(SearchResult, Call(SEARCH_REPORT, _of(report_id), body=body))

    @operation
    def score(
        self,
        report_id: str,
        product_id: str,
        *,
        model_version: str,
        catalogue: Catalogue | None = None,
        metric: Metric | None = None,
        include_vectors: bool | None = None,
    ) -> Plan[ProductScore]:
        """One product with its score against the report's reference."""
        query = {
            "model_version": model_version,
            "catalogue": catalogue,
            "metric": metric,
            "include_vectors": include_vectors,
        }
        return self._api.fetch(ProductScore, Call(SCORE_PRODUCT, _of(report_id, product_id), query))

    @operation
    def export(
        self,
        report_id: str,
        *,
        format: ExportFormat,
        model_version: str | None = None,
        catalogue: Catalogue | None = None,
        metric: Metric | None = None,
    ) -> Plan[ExportedFile]:
        """The report as a file, in memory; a large one is fetched from where the API has put it."""
        response = yield from self._exported(report_id, format, model_version, catalogue, metric)
        return (yield from file_in_memory(self._api, response))

    @operation
    def save_export(
        self,
        report_id: str,
        path: str | os.PathLike[str],
        *,
        format: ExportFormat,
        model_version: str | None = None,
        catalogue: Catalogue | None = None,
        metric: Metric | None = None,
    ) -> Plan[Path]:
        """The report as a file at `path`, streamed where it is large. Raises OSError where it cannot be written."""
        response = yield from self._exported(report_id, format, model_version, catalogue, metric)
        yield from file_on_disk(self._api, response, Path(path))
        return Path(path)

    def _page(self, limit: int | None, cursor: str | None, include_total: bool | None = None) -> Plan[ReportList]:
        query = {"limit": limit, "cursor": cursor, "include_total": include_total}
        return self._api.fetch(ReportList, Call(LIST_REPORTS, query=query))

    def _exported(
        self,
        report_id: str,
        format: ExportFormat,
        model_version: str | None,
        catalogue: Catalogue | None,
        metric: Metric | None,
    ) -> Plan[HttpResponse]:
        query = {"format": format, "model_version": model_version, "catalogue": catalogue, "metric": metric}
        return self._api.send(Call(EXPORT_REPORT, _of(report_id), query))


class Reports(ReportMethods, SyncGroup):
    """`client.reports`"""


class AsyncReports(ReportMethods, AsyncGroup):
    """`client.reports`, for asyncio."""


def _of(report_id: str, product_id: str | None = None) -> dict[str, str]:
    return {"report_id": report_id} if product_id is None else {"report_id": report_id, "product_id": product_id}
