"""Entities, requests and responses, by subject. Nothing here knows HTTP or AWS."""

from .embedding import DBProductEmbedding
from .report import DBReport
from .user import DBUser

__all__ = ["DBProductEmbedding", "DBReport", "DBUser"]
