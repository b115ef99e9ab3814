"""What every source of rows offers, and nothing of how it reads them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class SourceError(Exception):
    """The source cannot be opened or read on. The message says what is wrong, where, and what to do; never a secret."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row of a collection as the source has it.

    `position` tells a person where it stands (`reports.json:12`, `pet_reports/3f2a`), alike at every reading of the
    same source. Values are plain Python: None, bool, int, float, Decimal, str, bytes, date, datetime, list and dict
    with text keys. Nothing is converted on the way: a float that is NaN arrives as NaN, a number with 38 digits as an
    int or Decimal.
    """

    position: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row that the source has but cannot give, such as a line that is no JSON. The rows after it are still read."""

    position: str
    reason: str


class Source(Protocol):
    """One opened source. It gives the same rows at every reading, or raises SourceError where it cannot promise so.

    Memory stays flat however many rows there are.
    """

    def collections(self) -> list[str]:
        """The names of what holds rows: tables, files or members of a document."""
        ...

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        """Every row of a collection, in an order of the source's own. May be called again, for a second reading."""
        ...

    def left_out(self) -> dict[str, int]:
        """What was passed over on purpose in the readings so far, by what it is: `{"design documents": 2}`."""
        ...

    def close(self) -> None: ...
