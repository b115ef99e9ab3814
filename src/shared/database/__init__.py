"""The tables: one repository each, over one DatabaseManager. Knows nothing of HTTP."""

from ..models import DBReport, DBUser
from .manager import DatabaseManager
from .reports import ReportRepository
from .users import UserRepository
from .writes import Terms, WriteId

__all__ = ["DBReport", "DBUser", "DatabaseManager", "ReportRepository", "Terms", "UserRepository", "WriteId"]
