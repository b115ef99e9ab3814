"""The answer of the health check."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Health:
    """The service answers, and so do all its tables."""

    status: str
    version: str
