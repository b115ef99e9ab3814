"""Exports of a report: the request, what a file holds, and the answer where the file is too large to be one."""

from dataclasses import dataclass
from typing import Any, Literal

from .embedding import Catalogue, Metric, ModelVersion
from .fields import QueryModel, ResponseModel
from .json_value import JsonObject
from .report import Report

ExportFormat = Literal["zip", "csv", "xlsx", "pdf"]


class ExportQuery(QueryModel):
    """The query of `GET /reports/{report_id}/export`."""

    format: ExportFormat
    model_version: ModelVersion | None = None
    catalogue: Catalogue = "own"
    metric: Metric = "cosine"


class ExportLink(ResponseModel):
    """Where a file that is too large for an answer can be had, by whoever has the address, until `expires_at`."""

    url: str
    expires_at: str
    bytes: int
    file_name: str


@dataclass(frozen=True, slots=True)
class ExportedFavorite:
    """A favourite product; `score` is None where it cannot be compared, `product` where nothing is stored of it."""

    product_id: str
    score: float | None = None
    product: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class ExportedReport:
    """What every format shows: a report, the product it is about, and its favourites, best first.

    `model_version` is None where neither the request nor the catalogue names one: there are no scores then, and
    `reference_product` is the report's own word of its reference, as where nothing is stored of that.
    """

    report: Report
    catalogue: Catalogue
    metric: Metric
    model_version: str | None
    reference_product_id: str | None
    reference_product: JsonObject | None
    favorites: tuple[ExportedFavorite, ...]

    def document(self) -> dict[str, Any]:
        """All of it, as `report.json` has it."""
        return {
            "report": self.report.model_dump(warnings=False),
            "catalogue": self.catalogue,
            "model_version": self.model_version,
            "metric": self.metric,
            "higher_is_better": True,
            "reference": {"product_id": self.reference_product_id, "product": self.reference_product},
            "favorites": [
                {"product_id": favorite.product_id, "score": favorite.score, "product": favorite.product}
                for favorite in self.favorites
            ],
        }
