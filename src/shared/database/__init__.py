"""The tables: one repository each, over one DatabaseManager. Knows nothing of HTTP."""

from ..models import DBProductEmbedding, DBReport, DBUser
from .embeddings import EmbeddingRepository
from .manager import DatabaseManager
from .model_versions import ModelVersionRepository
from .reports import ReportRepository
from .users import UserRepository
from .writes import Terms, WriteId

__all__ = [
    "DBProductEmbedding",
    "DBReport",
    "DBUser",
    "DatabaseManager",
    "EmbeddingRepository",
    "ModelVersionRepository",
    "ReportRepository",
    "Terms",
    "UserRepository",
    "WriteId",
]
