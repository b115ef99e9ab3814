"""What the API answers, as frozen dataclasses; members that a newer API has besides are left out."""

from .embeddings import (
    BatchResult,
    Catalogue,
    DeleteResult,
    Embedding,
    EmbeddingList,
    ItemFault,
    ItemResult,
    Metric,
    ModelList,
    ModelSummary,
    NewEmbedding,
    ProductScore,
    SearchHit,
    SearchResult,
)
from .files import ExportedFile, ExportFormat, ExportLink
from .health import Health
from .json_documents import JsonObject
from .reports import Favorites, Report, ReportList
from .similarity import MatrixState, Neighbor, Neighbors
from .users import AccountExport, AvatarUpload, ErasureState, Profile

__all__ = [
    "AccountExport",
    "AvatarUpload",
    "BatchResult",
    "Catalogue",
    "DeleteResult",
    "Embedding",
    "EmbeddingList",
    "ErasureState",
    "ExportFormat",
    "ExportLink",
    "ExportedFile",
    "Favorites",
    "Health",
    "ItemFault",
    "ItemResult",
    "JsonObject",
    "MatrixState",
    "Metric",
    "ModelList",
    "ModelSummary",
    "Neighbor",
    "Neighbors",
    "NewEmbedding",
    "ProductScore",
    "Profile",
    "Report",
    "ReportList",
    "SearchHit",
    "SearchResult",
]
