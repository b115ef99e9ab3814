"""Favourites as a table: a column for each member of their metadata, as far as a spreadsheet can bear."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ..models.report_export import ExportedFavorite, ExportedReport

MAX_MEMBER_COLUMNS = 200
"""Members with a column of their own. Excel takes 16,384 columns, and nobody reads as many."""

_FIXED = ("product_id", "score")
_REST = "product"
_MEMBER = "product."


class FavoriteTable:
    """The favourites of a report in rows; a value that is not there is None.

    Columns are the id, the score, and the union of the metadata's members by name, as `product.<member>`, which no
    other column is called. Where there are too many, the commonest have columns, and the others of each favourite are
    together, as an object, in a last one: nothing is left out.
    """

    def __init__(self, exported: ExportedReport) -> None:
        self._favorites = exported.favorites
        counted = Counter(name for favorite in exported.favorites for name in favorite.product or {})
        ranked = sorted(counted, key=lambda name: (-counted[name], name))
        self._members = sorted(ranked[:MAX_MEMBER_COLUMNS])
        self._others = frozenset(ranked[MAX_MEMBER_COLUMNS:])

    @property
    def header(self) -> list[str]:
        return [*_FIXED, *(f"{_MEMBER}{name}" for name in self._members), *([_REST] if self._others else [])]

    def rows(self) -> Iterator[list[Any]]:
        return map(self._row, self._favorites)

    def _row(self, favorite: ExportedFavorite) -> list[Any]:
        product = favorite.product or {}
        row = [favorite.product_id, favorite.score, *(product.get(name) for name in self._members)]
        if self._others:
            row.append({name: value for name, value in sorted(product.items()) if name in self._others} or None)
        return row
