"""The answer of the health check."""

from typing import Literal

from .fields import ResponseModel


class Health(ResponseModel):
    """The service answers, and so do all its tables."""

    status: Literal["ok"]
    version: str
