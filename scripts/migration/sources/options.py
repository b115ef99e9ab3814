"""What a mapping says of its source, beside the address."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Self

from scripts.migration.sources.source import SourceError


@dataclass(frozen=True, slots=True)
class Options:
    """`collections` are the names and patterns (`k9-*`) that the mapping has.

    `type_field` splits each database of a CouchDB by that member of its documents.
    """

    collections: tuple[str, ...] = ()
    type_field: str | None = None

    @classmethod
    def of(cls, collections: Iterable[str], named: Mapping[str, Any]) -> Self:
        known = sorted({field.name for field in fields(cls)} - {"collections"})
        for name, value in named.items():
            if name not in known:
                raise SourceError(f"A source has no option {name}; there is {', '.join(known)}.")
            if not isinstance(value, str) or not value:
                raise SourceError(f"The option {name} must be a text that is not empty.")
        return cls(tuple(collections), **named)

    def wants(self, collection: str) -> bool:
        """Whether the mapping speaks of it; so it does of every one where it names none."""
        return not self.collections or any(fnmatchcase(collection, pattern) for pattern in self.collections)
