"""The readings of a source: the first one judges every row, the later ones give those that it accepted."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from scripts.migration.canonical import MultisetDigest, source_digest
from scripts.migration.failure import Code, MigrationError, Rejection
from scripts.migration.journal import Journal, Model
from scripts.migration.mapping import Mapping
from scripts.migration.rejects import Rejects
from scripts.migration.sources.source import Source, SourceRow, UnreadableRow
from scripts.migration.target_rows import TargetRow
from scripts.migration.transform import Transformer
from shared.database.model_versions import MAX_MODEL_VERSIONS

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
        self.findings = Findings()

    def run(self) -> Findings:
        self._journal.begin()
        for name in self._contents.users_first:
            for row in self._contents.rows(name):
                digest = _digest_of(name, row)
                self.findings.source.add(digest)
                self._judge(name, row, digest)
                self._tick(1)
        self._flush(0)
        self._models.flush()
        self._journal.commit()
        return self.findings

    def _judge(self, name: str, row: SourceRow | UnreadableRow, digest: bytes) -> None:
        try:
            if isinstance(row, UnreadableRow):
                raise Rejection(Code.UNREADABLE_ROW, row.reason)
            self._accept(name, row, digest, self._contents.transformers[name].transform(row))
        except Rejection as rejection:
            self._rejects.add(name, row.position, rejection)

    def _accept(self, name: str, row: SourceRow, digest: bytes, target: TargetRow) -> None:
        model = self._models.number_for(target)
        position = f"{name}\0{row.position}"
        other = self._journal.add_row(target.key_bytes, position, target.digest, digest, model)
        if other is None:
            self._count(target, model)
        elif other.digest == target.digest:
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


class ModelCounts:
    """The model versions of embeddings: each has the dimension of the first vector that was read."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._known: dict[tuple[str, str], tuple[int, int]] = {}
        self._counts: dict[int, tuple[int, str]] = {}

    def number_for(self, target: TargetRow) -> int | None:
        """The model version's number in the journal. Raises Rejection for a vector that does not belong to it."""
        if target.table == "users":
            self._declare_all(target)
        if target.table != "embeddings":
            return None
        owner, name, dimension = target.owner, target.attributes["model_version"], target.attributes["vector_dimension"]
        return self._number(owner, name, dimension, target.attributes["created_at"])

    def count(self, number: int, created_at: str) -> None:
        rows, first = self._counts.get(number, (0, created_at))
        self._counts[number] = (rows + 1, min(first, created_at))
        if len(self._counts) > _FLUSHED:
            self.flush()

    def flush(self) -> None:
        self._journal.count_models(self._counts.items())
        self._counts.clear()
        self._known.clear()

    def _declare_all(self, target: TargetRow) -> None:
        """What a user's row says of their model versions counts as well as a vector."""
        for name, entry in target.attributes["models"].items():
            dimension = entry.get("dimension") if isinstance(entry, dict) else None
            if not isinstance(dimension, int) or dimension < 1:
                raise Rejection(Code.BAD_VALUE, "has no whole number as dimension", f"models.{name}", entry)
            self._number(target.owner, name, dimension, str(entry.get("created_at", target.attributes["created_at"])))

    def _number(self, owner: str, name: str, dimension: int, created_at: str) -> int:
        number, settled = self._find(owner, name) or (self._add(owner, name, dimension, created_at), dimension)
        if settled != dimension:
            reason = f"has {dimension} components; the vectors of {name} have {settled}"
            raise Rejection(Code.DIMENSION_MISMATCH, reason, "embedding_vector")
        return number

    def _find(self, owner: str, name: str) -> tuple[int, int] | None:
        found = self._known.get((owner, name)) or self._journal.model(owner, name)
        if found is not None:
            self._known[owner, name] = found
        return found

    def _add(self, owner: str, name: str, dimension: int, created_at: str) -> int:
        if self._journal.model_count(owner) >= MAX_MODEL_VERSIONS:
            reason = f"would be more than the {MAX_MODEL_VERSIONS} that an owner may have"
            raise Rejection(Code.TOO_MANY_MODEL_VERSIONS, reason, "model_version", name)
        return self._journal.add_model(Model(owner, name, dimension, created_at, 0))


class LaterReading:
    """Gives the rows that the first reading accepted. A row that is not as it was then ends it with MigrationError."""

    def __init__(self, contents: Contents, journal: Journal) -> None:
        self._contents = contents
        self._journal = journal

    def rows(self, name: str) -> Iterator[tuple[int, TargetRow]]:
        """Number in the journal, and item, of every accepted row of a collection."""
        transformer = self._contents.transformers[name]
        for row in self._contents.rows(name):
            if isinstance(row, SourceRow):
                accepted = self._accepted(name, row, transformer)
                if accepted is not None:
                    yield accepted

    def _accepted(self, name: str, row: SourceRow, transformer: Transformer) -> tuple[int, TargetRow] | None:
        try:
            target = transformer.transform(row)
        except Rejection:
            return None
        known = self._journal.find_row(target.key_bytes)
        if known is None and self._was_rejected(target):
            return None
        if known is None:
            raise changed(row.position)
        if known.position != f"{name}\0{row.position}":
            return None  # it has the key of an earlier row
        if known.source != _digest_of(name, row):
            raise changed(row.position)
        return known.number, target

    def _was_rejected(self, target: TargetRow) -> bool:
        """Whether the first reading refused it for its model versions."""
        if target.table == "embeddings":
            found = self._journal.model(target.owner, target.attributes["model_version"])
            return found is None or found[1] != target.attributes["vector_dimension"]
        return target.table == "users" and bool(target.attributes["models"])


def changed(where: str) -> MigrationError:
    return MigrationError(
        f"The source has changed since it was first read ({where}): stop what writes to it, and begin again with "
        "apply. What was written already is recognised, and stays."
    )


def _digest_of(name: str, row: SourceRow | UnreadableRow) -> bytes:
    if isinstance(row, UnreadableRow):
        return source_digest(name, row.position, {"": row.reason})
    return source_digest(name, row.position, row.values)
