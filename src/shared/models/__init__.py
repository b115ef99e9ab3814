"""Entities, requests and responses, by subject. Nothing here knows HTTP or AWS."""

from .report import DBReport
from .user import DBUser

__all__ = ["DBReport", "DBUser"]
