"""What an export of a report holds: its reference and favourites as a catalogue knows them, and how alike they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.database import EmbeddingRepository, ModelVersionRepository
from shared.errors import FieldError, InvalidRequest
from shared.models import json_text
from shared.models.embedding import DBProductEmbedding, Metric
from shared.models.report import DBReport, Report
from shared.models.report_export import ExportedFavorite, ExportedReport, ExportQuery
from shared.similarity.search import is_comparable, score

from .reference import reference_product_id

MAX_METADATA_BYTES = 8 * 1024 * 1024
"""As JSON, of the products together. Lists of numbers take longest: 3 s of a core to read and 2 s to write, of the 9 s
in which a file must be ready to be stored."""

_AT_ONCE = 100
"""Products that are read before their sizes are counted."""

_POINTER = "/path/report_id"


@dataclass(frozen=True, slots=True)
class _Products:
    """What is stored of a report's products under one model version, each with its score against the reference."""

    stored: Mapping[str, DBProductEmbedding]
    reference_id: str | None
    dimension: int
    metric: Metric

    def favorite(self, product_id: str) -> ExportedFavorite:
        row, reference = self.stored.get(product_id), self.reference
        if row is None:
            return ExportedFavorite(product_id)
        if reference is None or not self._is_comparable(row) or not self._is_comparable(reference):
            return ExportedFavorite(product_id, None, row.product)
        scored = score(self.metric, row.embedding_vector, reference.embedding_vector)
        return ExportedFavorite(product_id, scored, row.product)

    @property
    def reference(self) -> DBProductEmbedding | None:
        return None if self.reference_id is None else self.stored.get(self.reference_id)

    def _is_comparable(self, row: DBProductEmbedding) -> bool:
        return is_comparable(row.embedding_vector, self.dimension)


def exported(report: DBReport, owner: str, query: ExportQuery) -> ExportedReport:
    """The report with what the owner's catalogue has of its products, favourites by score, best first, then by id.

    Where the query names no model version, it is the catalogue's only one, or none. Raises InvalidRequest for one that
    nothing was stored under, and for too much metadata.
    """
    version, dimension = _model_version(owner, query)
    reference_id = _reference_id(report)
    wanted = [*([] if reference_id is None else [reference_id]), *sorted(report.favorites)]
    stored = {} if version is None else _read(wanted, owner, version)
    products = _Products(stored, reference_id, dimension, query.metric)
    return ExportedReport(
        report=Report.of(report),
        catalogue=query.catalogue,
        metric=query.metric,
        model_version=version,
        reference_product_id=reference_id,
        reference_product=products.reference.product if products.reference else report.reference,
        favorites=tuple(sorted(map(products.favorite, report.favorites), key=_best_first)),
    )


def _model_version(owner: str, query: ExportQuery) -> tuple[str | None, int]:
    """A model version and its dimension; None and 0 where the query names none and there is not exactly one."""
    versions = ModelVersionRepository
    if query.model_version is not None:
        return query.model_version, versions.require_dimension(owner, query.model_version, "/query/model_version")
    known = list(versions.list_model_versions(owner).items())
    return known[0] if len(known) == 1 else (None, 0)


def _reference_id(report: DBReport) -> str | None:
    """The product that the report is about; None for a report that names none, which can be exported all the same."""
    try:
        return reference_product_id(report, _POINTER)
    except InvalidRequest:
        return None


def _read(product_ids: Sequence[str], owner: str, model_version: str) -> dict[str, DBProductEmbedding]:
    found: dict[str, DBProductEmbedding] = {}
    total = 0
    for start in range(0, len(product_ids), _AT_ONCE):
        batch = EmbeddingRepository.find_embeddings(product_ids[start : start + _AT_ONCE], owner, model_version)
        total += sum(len(json_text.dumps(row.product).encode("utf-8", "surrogatepass")) for row in batch.values())
        if total > MAX_METADATA_BYTES:
            reason = (
                f"has products with more than {MAX_METADATA_BYTES} bytes of metadata; remove some of its favourites"
            )
            raise InvalidRequest("The export would be too large.", errors=[FieldError(_POINTER, reason)])
        found |= batch
    return found


def _best_first(favorite: ExportedFavorite) -> tuple[bool, float, str]:
    return favorite.score is None, -(favorite.score or 0.0), favorite.product_id
