"""A CouchDB server, or what speaks its protocol: each database is a collection.

With a type field each database is split by this member of its documents, into collections called `database/type`; the
documents without one are in `database/`. Design documents, attachments and the revisions that lost a conflict are left
out.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from scripts.migration.sources.couchdb_http import CouchServer, server_at
from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow

_FORM = "couchdb:http://HOST:PORT/, or couchdb:http://HOST:PORT/DATABASE"
_SMALLEST_PAGE, _LARGEST_PAGE, _LARGE_ANSWER = 16, 1024, 4 * 1024 * 1024
_DESIGN, _SYSTEM = "design documents", "system databases"
_ASIDE = {"_attachments": "attachments", "_conflicts": "conflicting revisions"}
"""Members of a document that say what else there is of it."""


@dataclass(frozen=True, slots=True)
class _State:
    """What changes with every write to a database; compaction changes none of it."""

    written: str
    documents: int
    deleted: int

    @classmethod
    def of(cls, server: CouchServer, database: str) -> Self:
        found = server.get(database)
        # After the number comes what tells a cluster its nodes; it may differ for one and the same state.
        written = str(found.member("update_seq")).partition("-")[0]
        return cls(written, found.member("doc_count"), found.value.get("doc_del_count", 0))


@dataclass(frozen=True, slots=True)
class _Collection:
    """The documents of a database, or those of one type; "" stands for those without."""

    database: str
    type: str | None = None

    def __str__(self) -> str:
        return self.database if self.type is None else f"{self.database}/{self.type}"


@dataclass(slots=True)
class CouchDb:
    server: CouchServer
    states: dict[str, _State]
    type_field: str | None
    _collections: dict[str, _Collection] = field(default_factory=dict)
    _left_out: dict[tuple[str, str], int] = field(default_factory=dict)

    def collections(self) -> list[str]:
        return list(self._collections)

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        if collection not in self._collections:
            there = ", ".join(self._collections) or "none"
            raise SourceError(f"{self.server.root} has no collection {collection}; it has {there}.")
        return self._rows(self._collections[collection])

    def left_out(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for (what, _), number in self._left_out.items():
            total[what] += number
        return +total

    def close(self) -> None:
        self.server.close()

    def find_collections(self) -> None:
        """A database is read once to learn its types."""
        for database in self.states:
            parts = [_Collection(database)]
            if self.type_field:
                types = {self._type_of(document) for document in self._documents(database)}
                parts = [_Collection(database, name) for name in sorted(types)]
            self._collections.update({str(part): part for part in parts})

    def _rows(self, collection: _Collection) -> Iterator[SourceRow | UnreadableRow]:
        aside = Counter[str]()
        for document in self._documents(collection.database):
            if collection.type is None or self._type_of(document) == collection.type:
                for member, what in _ASIDE.items():
                    aside[what] += len(document.pop(member, ()))
                    self._left_out[what, str(collection)] = aside[what]
                yield SourceRow(f"{collection.database}/{document['_id']}", document)

    def _type_of(self, document: dict[str, Any]) -> str:
        found = document.get(self.type_field or "")
        return found if isinstance(found, str) else ""

    def _documents(self, database: str) -> Iterator[dict[str, Any]]:
        """All that are no design documents. Raises SourceError if one was written since the source was opened."""
        self._ensure_unchanged(database)
        design = 0
        for document in _paged(self.server, database):
            if document["_id"].startswith("_design/"):
                design += 1
                self._left_out[_DESIGN, database] = design
            else:
                yield document
        self._ensure_unchanged(database)

    def _ensure_unchanged(self, database: str) -> None:
        if _State.of(self.server, database) != self.states[database]:
            raise _written_to(database)


def _written_to(database: str) -> SourceError:
    return SourceError(
        f"The database {database} was written to while it was being read: stop what writes to it, or replicate it once "
        "and read the copy, and start again."
    )


def open_source(place: str, options: Options) -> CouchDb:
    """Raises SourceError where there is no server, or it does not let us in."""
    root, database, type_field = _parts_of(place)
    server = server_at(root)
    found = [database] if database else _databases(server)
    ours = [name for name in found if not name.startswith("_")]
    source = CouchDb(server, {name: _State.of(server, name) for name in ours}, type_field or options.type_field)
    source._left_out[_SYSTEM, ""] = len(found) - len(ours)
    source.find_collections()
    return source


def _databases(server: CouchServer) -> list[str]:
    answer = server.get("_all_dbs")
    if not isinstance(answer.value, list):
        raise SourceError(f"{answer.place} does not answer with a list: is a CouchDB there?")
    return answer.value


def _parts_of(place: str) -> tuple[str, str, str | None]:
    """Root, database or "", and type field of an address."""
    try:
        address = urlsplit(place)
    except ValueError as error:
        raise SourceError(f"The address of a CouchDB is {_FORM}: {error}.") from error
    if address.username is not None or address.password is not None:
        raise SourceError("Leave user and password out of the address: COUCHDB_USER and COUCHDB_PASSWORD have them.")
    query = dict(parse_qsl(address.query))
    path = address.path.strip("/")
    if address.scheme not in ("http", "https") or not address.hostname or "/" in path or query.keys() - {"type_field"}:
        raise SourceError(f"The address of a CouchDB is {_FORM}, if need be with ?type_field=NAME at its end.")
    return f"{address.scheme}://{address.netloc}", unquote(path), query.get("type_field")


def _paged(server: CouchServer, database: str) -> Iterator[dict[str, Any]]:
    """Every document, in pages that shrink where documents are large. A page begins where the one before found more."""
    size, start = _SMALLEST_PAGE, dict[str, Any]()
    while True:
        answer = server.get(database, "_all_docs", include_docs=True, conflicts=True, limit=size + 1, **start)
        rows = answer.member("rows")
        yield from (_document(row, database) for row in rows[:size])
        if len(rows) <= size:
            return
        start = {"startkey": rows[size]["key"]}
        size = max(_SMALLEST_PAGE, size // 2) if answer.size > _LARGE_ANSWER else min(_LARGEST_PAGE, size * 2)


def _document(row: dict[str, Any], database: str) -> dict[str, Any]:
    document: dict[str, Any] | None = row.get("doc")
    if document is None:  # it was deleted after its row was found
        raise _written_to(database)
    return document
