"""What a mapping may say of its source, beside the address."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Self

from scripts.migration.sources.source import SourceError


@dataclass(frozen=True, slots=True)
class Settings:
    """`collections` are those that the mapping names; a source that lies among strangers' tables offers these alone.

    `type_field` splits each database of a CouchDB by that member of its documents.
    """

    collections: tuple[str, ...] = ()
    type_field: str | None = None

    @classmethod
    def of(cls, collections: Iterable[str], named: Mapping[str, str]) -> Self:
        known = {field.name for field in fields(cls)} - {"collections"}
        if unknown := sorted(named.keys() - known):
            raise SourceError(f"A source has no setting {unknown[0]}; it has {', '.join(sorted(known))}.")
        return cls(tuple(collections), **named)
