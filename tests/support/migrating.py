"""What tests of a migration start from: mappings as text, sources in memory, the tables as a digest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.migration.canonical import MultisetDigest, row_digest
from scripts.migration.exporting import all_rows
from scripts.migration.journal import Journal
from scripts.migration.mapping import Mapping as RowMapping
from scripts.migration.mapping import parse_mapping
from scripts.migration.reading import Contents, Findings, FirstReading
from scripts.migration.rejects import Rejects
from scripts.migration.rules import Table
from scripts.migration.run import Pace, Run
from scripts.migration.sources.source import SourceRow, UnreadableRow
from scripts.migration.target import Target
from scripts.migration.work import WorkFolder

TABLES: tuple[Table, ...] = ("users", "reports", "embeddings")

MAPPING = """
source: old-k9
collections:
  people:
    into: users
    owner: {field: sub, any_id: true}
    optional: true
    fields: {name: name, email: email, preferences: preferences, created_at: created}
  notes:
    into: reports
    owner: {field: sub, any_id: true}
    optional: true
    fields:
      id: {from: id, keep: true}
      title: title
      author: author
      reference: reference
      favorites: {from: favorites, default: []}
      created_at: created
      updated_at: updated
  vectors:
    into: embeddings
    owner: {field: sub, any_id: true}
    optional: true
    fields:
      product_id: product
      model_version: model
      embedding_vector: vector
      product: {rest: true}
      created_at: created
      updated_at: updated
"""
CREATED, UPDATED = "2021-03-04T05:06:07Z", "2022-03-04T05:06:07Z"


def mapping(text: str = MAPPING) -> RowMapping:
    return parse_mapping(text, Path("mapping.yaml"))


@dataclass
class ListSource:
    """A source of rows that are given; a text among them is a row that cannot be read, for that reason."""

    rows_of: Mapping[str, Sequence[Mapping[str, Any] | str]]
    readings: list[str] = field(default_factory=list)

    def collections(self) -> list[str]:
        return list(self.rows_of)

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        self.readings.append(collection)
        for number, row in enumerate(self.rows_of[collection], 1):
            position = f"{collection}:{number}"
            yield UnreadableRow(position, row) if isinstance(row, str) else SourceRow(position, row)

    def left_out(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        """Nothing is open."""


def note(number: int, sub: str | None = "user-1", **fields: Any) -> dict[str, Any]:
    return {"id": f"note-{number}", "sub": sub, "title": f"Note {number}", "created": CREATED, **fields}


def vector(number: int, sub: str | None = "user-1", **fields: Any) -> dict[str, Any]:
    plain = {"product": f"p{number}", "sub": sub, "model": "m-1", "vector": [1.0, float(number)], "price": number}
    return {**plain, "created": CREATED, "updated": UPDATED, **fields}


@dataclass
class Migration:
    """A migration of rows in memory into tables; the folder holds its journal and rejects."""

    folder: WorkFolder
    target: Target
    rows: Mapping[str, Sequence[Mapping[str, Any] | str]]
    mapping: RowMapping = field(default_factory=mapping)
    pace: Pace = field(default_factory=lambda: Pace(threads=4))
    last: Run | None = None

    def read(self) -> Findings:
        """Begin anew with a first reading."""
        contents = Contents(ListSource(self.rows), self.mapping)
        with closing(self._new_journal()) as journal, closing(Rejects(self.folder.rejects)) as rejects:
            findings = FirstReading(contents, journal, rejects).run()
        return findings

    def _new_journal(self) -> Journal:
        return Journal.create(self.folder.journal, self.target.identity)

    def write(self, *, resumed: bool = False) -> dict[str, int]:
        """Write what was read; how often there was each outcome, over all of the journal."""
        with closing(Journal(self.folder.journal)) as journal, closing(Rejects(self.folder.rejects)) as rejects:
            contents = Contents(ListSource(self.rows), self.mapping)
            self.last = Run(contents, self.mapping, journal, self.target, rejects, self.pace, self.folder.holder)
            self.last.write(resumed=resumed)
            return {outcome.name: count for outcome, count in journal.outcome_counts().items()}

    def apply(self) -> dict[str, int]:
        self.read()
        return self.write()


def tables_digest(target: Target) -> str:
    """Of every attribute of every row in the three tables, whatever their order."""
    digest = MultisetDigest()
    for table in TABLES:
        for row in all_rows(target, table):
            digest.add(row_digest({"": table, **row}))
    return f"{digest.count} rows {digest.hex()}"


def table_rows(target: Target, table: Table) -> list[dict[str, Any]]:
    return list(all_rows(target, table))
