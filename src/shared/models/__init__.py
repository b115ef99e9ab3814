"""Entities, requests and responses, by subject. Nothing here knows HTTP or AWS."""

from typing import TYPE_CHECKING

from ..exports import exporter

if TYPE_CHECKING:
    from .embedding import DBProductEmbedding
    from .report import DBReport
    from .user import DBUser

__all__ = ["DBProductEmbedding", "DBReport", "DBUser"]

__getattr__ = exporter(__name__, {"DBProductEmbedding": ".embedding", "DBReport": ".report", "DBUser": ".user"})
