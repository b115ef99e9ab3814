"""The tables: one repository each, over one DatabaseManager. Knows nothing of HTTP.

A function uses one repository or two, so a name's module is imported when the name is first asked for.
"""

from typing import TYPE_CHECKING

from ..exports import exporter

if TYPE_CHECKING:
    from ..models.embedding import DBProductEmbedding
    from ..models.report import DBReport
    from ..models.user import DBUser
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

__getattr__ = exporter(
    __name__,
    {
        "DBProductEmbedding": "..models.embedding",
        "DBReport": "..models.report",
        "DBUser": "..models.user",
        "DatabaseManager": ".manager",
        "EmbeddingRepository": ".embeddings",
        "ModelVersionRepository": ".model_versions",
        "ReportRepository": ".reports",
        "Terms": ".writes",
        "UserRepository": ".users",
        "WriteId": ".writes",
    },
)
