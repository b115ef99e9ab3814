"""The readings of a source: the first one judges every row, the later ones give those that it accepted."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from scripts.migration.canonical import MultisetDigest, source_digest
from scripts.migration.failure import Code, MigrationError, Rejection
from scripts.migration.journal import Journal
from scripts.migration.mapping import Mapping
from scripts.migration.model_counts import ModelCounts
from scripts.migration.rejects import Rejects
from scripts.migration.sources.source import Source, SourceRow, UnreadableRow
from scripts.migration.target_rows import TargetRow
from scripts.migration.transform import Transformer
from shared.models.fields import timestamp

_FLUSHED = 10_000
"""Counts of so many owners or model versions are kept in memory."""

Tick = Callable[[int], None]


@dataclass(slots=True)
class Findings:
    """What the first reading counted."""

    source: MultisetDigest = field(default_factory=MultisetDigest)
    target: MultisetDigest = field(default_factory=MultisetDigest)
    accepted: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)
    write_units: int = 0
    identical: int = 0


class Contents:
    """A source together with the mapping of its rows. Raises MigrationError where the two do not fit."""

    def __init__(self, source: Source, mapping: Mapping) -> None:
        self.source = source
        names = source.collections()
        unmet = mapping.unmet(names)
        if unmet:
            raise MigrationError(
                f"The source has no collection {', '.join(unmet)}; it has {', '.join(names) or 'none'}. Correct the "
                "name in the mapping, or say optional: true."
            )
        found = {name: mapping.collection(name) for name in names}
        self.ignored = [name for name, collection in found.items() if collection is None]
        self.transformers = {
            name: Transformer(name, collection, mapping) for name, collection in found.items() if collection
        }

    @property
    def users_first(self) -> list[str]:
        """The collections in the order in which they are written: an owner's row comes before what refers to it."""
        return sorted(self.transformers, key=lambda name: (self.transformers[name].table != "users", name))

    def rows(self, name: str) -> Iterator[SourceRow | UnreadableRow]:
        return self.source.rows(name)


def digest_source(contents: Contents, tick: Tick = lambda rows: None) -> MultisetDigest:
    """The digest that the first reading took, without judging any row."""
    digest = MultisetDigest()
    for name in contents.transformers:
        for row in contents.rows(name):
            digest.add(_digest_of(name, row))
            tick(1)
    return digest


class FirstReading:
    """Judges every row of a source and notes the accepted ones in the journal."""

    def __init__(self, contents: Contents, journal: Journal, rejects: Rejects, tick: Tick = lambda rows: None) -> None:
        self._contents = contents
        self._journal = journal
        self._rejects = rejects
        self._tick = tick
        self._models = ModelCounts(journal)
        self._owners: Counter[tuple[str, str]] = Counter()
        self._latest = timestamp(datetime.now(UTC) + timedelta(days=1))
        self.findings = Findings()

    def run(self) -> Findings:
        """Raises MigrationError where no row at all can be accepted."""
        accepted: dict[str, str] = {}
        self._journal.begin()
        for name in self._contents.users_first:
            before = self.findings.accepted.total()
            for row in self._contents.rows(name):
                digest = _digest_of(name, row)
                self.findings.source.add(digest)
                self._judge(name, row, digest)
                self._tick(1)
            accepted[_accepted_of(name)] = str(self.findings.accepted.total() - before)
        self._flush(0)
        self._models.flush()
        self._journal.commit()
        self._journal.put(latest=self._latest, **accepted)
        if not self.findings.accepted:
            raise self._nothing()
        return self.findings

    def _nothing(self) -> MigrationError:
        contents = self._contents
        left_out = [f"{count} {what}" for what, count in contents.source.left_out().items()]
        rejects = [f"{count} {code}" for code, count in sorted(self._rejects.counts.items())]
        return MigrationError(
            f"There is nothing to migrate. Read were {self.findings.source.count} rows of "
            f"{', '.join(contents.transformers) or 'no collection'}; rejects: {', '.join(rejects) or 'none'}; "
            f"left out: {', '.join([*contents.ignored, *left_out]) or 'nothing'}."
        )

    def _judge(self, name: str, row: SourceRow | UnreadableRow, digest: bytes) -> None:
        try:
            if isinstance(row, UnreadableRow):
                raise Rejection(Code.UNREADABLE_ROW, row.reason)
            self._accept(name, row, digest, self._contents.transformers[name].transform(row, self._latest))
        except Rejection as rejection:
            self._rejects.add(name, row.position, rejection)

    def _accept(self, name: str, row: SourceRow, digest: bytes, target: TargetRow) -> None:
        other = self._journal.find_row(target.key_bytes)
        if other is None:
            model = self._models.number_for(target)
            self._journal.add_row(target.key_bytes, f"{name}\0{row.position}", target.digest, digest, model)
            self._count(target, model)
        elif other.digest == target.digest:
            self._models.number_for(target)  # what a user's row says of these is no part of its digest
            self.findings.identical += 1
        else:
            where = other.position.partition("\0")[2]
            raise Rejection(Code.DUPLICATE_KEY, f"has the same key as {where}, and other content")

    def _count(self, target: TargetRow, model: int | None) -> None:
        self.findings.target.add(target.digest)
        self.findings.accepted[target.table] += 1
        self.findings.bytes[target.table] += target.size
        self.findings.write_units += target.write_units
        self._owners[target.owner, target.table] += 1
        self._flush(_FLUSHED)
        if model is not None:
            self._models.count(model, target.attributes["created_at"])

    def _flush(self, most: int) -> None:
        if len(self._owners) > most:
            self._journal.count_owners(self._owners.items())
            self._owners.clear()


class LaterReading:
    """Gives the rows that the first reading accepted. A row that is not as it was then ends it with MigrationError."""

    def __init__(self, contents: Contents, journal: Journal) -> None:
        self._contents = contents
        self._journal = journal
        self._latest = journal.get("latest")

    def rows(self, name: str) -> Iterator[tuple[int, TargetRow]]:
        """Number in the journal, and item, of every accepted row of a collection."""
        transformer = self._contents.transformers[name]
        given = 0
        for row in self._contents.rows(name):
            if isinstance(row, SourceRow):
                accepted = self._accepted(name, row, transformer)
                if accepted is not None:
                    given += 1
                    yield accepted
        if str(given) != self._journal.get(_accepted_of(name)):
            raise changed(f"{name}, of which {given} rows are as they were")

    def _accepted(self, name: str, row: SourceRow, transformer: Transformer) -> tuple[int, TargetRow] | None:
        try:
            target = transformer.transform(row, self._latest)
        except Rejection:
            return None  # were it accepted at first, there would be too few in the end
        known = self._journal.find_row(target.key_bytes)
        if known is None and self._was_rejected(target):
            return None
        if known is None:
            raise changed(row.position)
        if known.position != f"{name}\0{row.position}":
            return None  # it has the key of an earlier row
        if known.source != _digest_of(name, row) or known.digest != target.digest:
            raise changed(row.position)
        return known.number, target

    def _was_rejected(self, target: TargetRow) -> bool:
        """Whether the first reading refused it for its model versions."""
        if target.table == "embeddings":
            found = self._journal.model(target.owner, target.attributes["model_version"])
            return found is None or found[1] != target.attributes["vector_dimension"]
        return target.table == "users" and bool(target.attributes["models"])


def _accepted_of(name: str) -> str:
    """Under which name the journal has how many rows of a collection were accepted."""
    return f"accepted of {name}"


def changed(where: str) -> MigrationError:
    return MigrationError(
        f"The source has changed since it was first read ({where}): stop what writes to it, and begin again with "
        "apply. What was written already is recognised, and stays."
    )


def _digest_of(name: str, row: SourceRow | UnreadableRow) -> bytes:
    if isinstance(row, UnreadableRow):
        return source_digest(name, row.position, {"": row.reason})
    return source_digest(name, row.position, row.values)
