"""The work file of one migration: what the first reading found, and the writes that have been acknowledged.

SQLite, so that what was committed is on disk (`synchronous=FULL`) and memory stays flat however many rows there are.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from scripts.migration.failure import MigrationError

_FORMAT = "1"
_KEY_BYTES = 16
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, position TEXT NOT NULL, digest BLOB NOT NULL,
  source BLOB NOT NULL, model INTEGER);
CREATE TABLE owners (owner TEXT, "table" TEXT, rows INTEGER NOT NULL, PRIMARY KEY (owner, "table")) WITHOUT ROWID;
CREATE TABLE models (number INTEGER PRIMARY KEY, owner TEXT, model_version TEXT, dimension INTEGER NOT NULL,
  first_created TEXT NOT NULL, rows INTEGER NOT NULL, UNIQUE (owner, model_version));
CREATE TABLE acknowledged (number INTEGER PRIMARY KEY, outcome INTEGER NOT NULL);
CREATE TABLE earlier (key BLOB PRIMARY KEY) WITHOUT ROWID;
"""
_CARRY_OVER = """
INSERT OR IGNORE INTO earlier SELECT key FROM before.earlier;
INSERT OR IGNORE INTO earlier SELECT key FROM before.rows JOIN before.acknowledged USING (number) WHERE outcome <= 3;
"""
"""Outcomes up to REPLACED: the row was in the table then, as this migration has it."""


class Outcome(IntEnum):
    """What became of a row that was to be written."""

    WRITTEN = 1
    PRESENT = 2
    """The very item was there already."""

    REPLACED = 3
    """An earlier run had written other content, and nobody has touched the row since."""

    KEPT = 4
    """Somebody has made, changed or deleted the row, and it stays as they left it."""

    TAKEN = 5
    """Another user's row is under the key."""


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row that the first reading accepted: the digest of the item that it makes, and of the row as it was read."""

    number: int
    position: str
    digest: bytes
    source: bytes


@dataclass(frozen=True, slots=True)
class Model:
    """A model version of an owner, as its rows in the source make it."""

    owner: str
    model_version: str
    dimension: int
    first_created: str
    rows: int


class Journal:
    """One connection to the work file. Another thread opens one of its own."""

    def __init__(self, path: Path) -> None:
        """Raises MigrationError for a file that is no work file, or one of another release."""
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._execute("PRAGMA journal_mode = WAL")
            self._execute("PRAGMA synchronous = FULL")
            self._execute("PRAGMA cache_size = -32000")
            stated = self.get("format")
        except sqlite3.DatabaseError as error:
            self.close()
            raise MigrationError(f"{path} is no work file of a migration: give another folder with --work.") from error
        if stated != _FORMAT:
            raise MigrationError(f"{path} is of another release of K9 API: finish it with that one, or remove it.")

    @classmethod
    def create(cls, path: Path, target: str = "") -> "Journal":
        """A new one in place of whatever is there; it remembers the rows that runs into this `target` have written."""
        partial = path.with_name(f"{path.name}.partial")
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with closing(sqlite3.connect(partial, isolation_level=None)) as connection:
            connection.executescript(_TABLES)
            connection.execute("INSERT INTO meta VALUES ('format', ?), ('target', ?)", (_FORMAT, target))
            if path.exists():
                _carry_over(connection, path, target)
        for stale in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            stale.unlink(missing_ok=True)
        partial.replace(path)
        return cls(path)

    def another(self) -> "Journal":
        return Journal(self._path)

    def get(self, name: str) -> str | None:
        found = self._execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def put(self, **values: str) -> None:
        """All of these or, where the process is killed, none."""
        self.begin()
        self._connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
        self.commit()

    def begin(self) -> None:
        self._execute("BEGIN")

    def commit(self) -> None:
        """What was put since `begin` is on disk after this."""
        self._execute("COMMIT")

    def add_row(self, key: bytes, position: str, digest: bytes, source: bytes, model: int | None) -> KnownRow | None:
        """Note an accepted row; returns the one that has its key already, and notes nothing then."""
        done = self._execute(
            "INSERT OR IGNORE INTO rows (key, position, digest, source, model) VALUES (?, ?, ?, ?, ?)",
            (_short(key), position, digest, source, model),
        )
        return None if done.rowcount else self.find_row(key)

    def find_row(self, key: bytes) -> KnownRow | None:
        query = "SELECT number, position, digest, source FROM rows WHERE key = ?"
        found = self._execute(query, (_short(key),)).fetchone()
        return None if found is None else KnownRow(*found)

    def count_owners(self, counts: Iterable[tuple[tuple[str, str], int]]) -> None:
        self._connection.executemany(
            "INSERT INTO owners VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
            ((owner, table, rows) for (owner, table), rows in counts),
        )

    def model(self, owner: str, model_version: str) -> tuple[int, int] | None:
        """Number and dimension of a model version; None where it is new."""
        found: tuple[int, int] | None = self._execute(
            "SELECT number, dimension FROM models WHERE owner = ? AND model_version = ?", (owner, model_version)
        ).fetchone()
        return found

    def model_count(self, owner: str) -> int:
        found: tuple[int] = self._execute("SELECT count(*) FROM models WHERE owner = ?", (owner,)).fetchone()
        return found[0]

    def add_model(self, model: Model) -> int:
        done = self._execute(
            "INSERT INTO models (owner, model_version, dimension, first_created, rows) VALUES (?, ?, ?, ?, ?)",
            (model.owner, model.model_version, model.dimension, model.first_created, model.rows),
        )
        return done.lastrowid or 0

    def count_models(self, counts: Iterable[tuple[int, tuple[int, str]]]) -> None:
        """Add rows to models, with the time at which the oldest of them was created."""
        self._connection.executemany(
            "UPDATE models SET rows = rows + ?, first_created = min(first_created, ?) WHERE number = ?",
            ((rows, first, number) for number, (rows, first) in counts),
        )

    def models(self) -> Iterator[Model]:
        """Every model version, by owner."""
        query = "SELECT owner, model_version, dimension, first_created, rows FROM models ORDER BY owner, model_version"
        for row in self._execute(query):
            yield Model(*row)

    def models_of(self, owner: str) -> list[Model]:
        query = "SELECT owner, model_version, dimension, first_created, rows FROM models WHERE owner = ?"
        return [Model(*row) for row in self._execute(f"{query} ORDER BY model_version", (owner,))]

    def models_with(self, outcome: Outcome) -> list[tuple[str, str]]:
        """The model versions with a row of this outcome: owner and name."""
        query = """
            SELECT owner, model_version FROM models WHERE number IN (
              SELECT DISTINCT model FROM rows JOIN acknowledged USING (number) WHERE outcome = ?)
            ORDER BY owner, model_version"""
        return list(self._execute(query, (int(outcome),)))

    def owner_counts(self) -> Iterator[tuple[str, str, int]]:
        """Owner, table and accepted rows, by owner."""
        yield from self._execute('SELECT owner, "table", rows FROM owners ORDER BY owner, "table"')

    def owner_count(self) -> int:
        found: tuple[int] = self._execute("SELECT count(DISTINCT owner) FROM owners").fetchone()
        return found[0]

    def acknowledge(self, outcomes: Iterable[tuple[int, Outcome]]) -> None:
        """Commit what became of rows."""
        self.begin()
        self._connection.executemany("INSERT OR REPLACE INTO acknowledged VALUES (?, ?)", outcomes)
        self.commit()

    def is_acknowledged(self, number: int) -> bool:
        return self._execute("SELECT 1 FROM acknowledged WHERE number = ?", (number,)).fetchone() is not None

    def outcome_counts(self) -> dict[Outcome, int]:
        query = "SELECT outcome, count(*) FROM acknowledged GROUP BY outcome ORDER BY outcome"
        return {Outcome(outcome): count for outcome, count in self._execute(query)}

    def was_there(self, key: bytes) -> bool:
        """Whether an earlier run has written the row, or found it as it should be."""
        return self._execute("SELECT 1 FROM earlier WHERE key = ?", (_short(key),)).fetchone() is not None

    def row_count(self) -> int:
        found: tuple[int] = self._execute("SELECT count(*) FROM rows").fetchone()
        return found[0]

    def close(self) -> None:
        self._connection.close()

    def _execute(self, query: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        return self._connection.execute(query, tuple(values))


def _carry_over(connection: sqlite3.Connection, path: Path, target: str) -> None:
    connection.execute("ATTACH ? AS before", (str(path),))
    known = connection.execute("SELECT value FROM before.meta WHERE name = 'target'").fetchone()
    if known == (target,):
        connection.executescript(_CARRY_OVER)
    connection.execute("DETACH before")


def _short(key: bytes) -> bytes:
    """Two of a billion keys agree in this with a chance of 10^-21."""
    return hashlib.sha256(key).digest()[:_KEY_BYTES]
