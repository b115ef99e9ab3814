"""The work file of one migration: what the first reading found, and the writes that have been acknowledged.

SQLite, so that what was committed is on disk (`synchronous=FULL`) and memory stays flat however many rows there are.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from scripts.migration.failure import MigrationError
from scripts.migration.work_file import FORMAT, create_work_file, told, translated

_KEY_BYTES = 16
_MODELS = "SELECT owner, model_version, dimension, first_created, rows FROM models"
_NEW = "SELECT model FROM rows WHERE key NOT IN (SELECT key FROM earlier) AND model IS NOT NULL"
_FOUND = "SELECT model FROM rows JOIN acknowledged USING (number) WHERE outcome <= 3 AND model IS NOT NULL"


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
        """Raises MigrationError for a file that is no work file, or one of another release.

        So does whatever reads or writes it, where the disk is full or the file is damaged.
        """
        self._path = path
        with told(path):
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -32000"):
                self._connection.execute(f"PRAGMA {pragma}")
            stated = self._stated_format()
        except sqlite3.DatabaseError as error:
            self.close()
            raise MigrationError(f"{path} is no work file of a migration: give another folder with --work.") from error
        if stated != FORMAT:
            self.close()
            raise MigrationError(f"{path} is of another release of K9 API: finish it with that one, or remove it.")

    @classmethod
    def create(cls, path: Path, target: str = "") -> "Journal":
        """A new one in place of whatever is there; it remembers the rows that runs into this `target` have written."""
        create_work_file(path, target, check=lambda: cls(path).close())
        return cls(path)

    def _stated_format(self) -> str | None:
        found = self._connection.execute("SELECT value FROM meta WHERE name = 'format'").fetchone()
        return None if found is None else str(found[0])

    def another(self) -> "Journal":
        return Journal(self._path)

    def get(self, name: str) -> str | None:
        found = self._execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def put(self, **values: str) -> None:
        """All of these or, where the process is killed, none."""
        self.begin()
        self._execute_many("INSERT OR REPLACE INTO meta VALUES (?, ?)", values.items())
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
        self._execute_many(
            "INSERT INTO owners VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rows = rows + excluded.rows",
            ((owner, table, rows) for (owner, table), rows in counts),
        )

    def model(self, owner: str, model_version: str) -> tuple[int, int] | None:
        """Number and dimension of a model version; None where it is new."""
        found: tuple[int, int] | None = self._execute(
            "SELECT number, dimension FROM models WHERE owner = ? AND model_version = ?", (owner, model_version)
        ).fetchone()
        return found

    def first_position(self, model: int) -> str | None:
        """Where the first row of a model version stands in the source; None where only its owner's row names it."""
        query = "SELECT position FROM rows WHERE model = ? ORDER BY number LIMIT 1"
        found = self._execute(query, (model,)).fetchone()
        return None if found is None else str(found[0])

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
        self._execute_many(
            "UPDATE models SET rows = rows + ?, first_created = min(first_created, ?) WHERE number = ?",
            ((rows, first, number) for number, (rows, first) in counts),
        )

    def models(self) -> Iterator[Model]:
        """Every model version, by owner."""
        return self._models("")

    def new_models(self) -> Iterator[Model]:
        """Those of which a row is to be written that no earlier run has met; or that a user's row alone names."""
        return self._models(f"WHERE number IN ({_NEW}) OR rows = 0")

    def found_models(self) -> Iterator[Model]:
        """Those of which a row is in the table by now, without `new_models`."""
        return self._models(f"WHERE number IN ({_FOUND}) AND number NOT IN ({_NEW}) AND rows > 0")

    def models_of(self, owner: str) -> list[Model]:
        return [Model(*row) for row in self._execute(f"{_MODELS} WHERE owner = ? ORDER BY model_version", (owner,))]

    def _models(self, condition: str) -> Iterator[Model]:
        for row in self._each(f"{_MODELS} {condition} ORDER BY owner, model_version"):
            yield Model(*row)

    def touched_models(self, *, is_known: bool) -> list[tuple[str, str]]:
        """The model versions with a row that was written: owner and name.

        Or that was found, and may have been written by a run that did not end; unless `is_known` that the run before
        did, and it had met the row.
        """
        found = "outcome = 2 AND key NOT IN (SELECT key FROM earlier)" if is_known else "outcome = 2"
        query = f"""
            SELECT owner, model_version FROM models WHERE number IN (
              SELECT DISTINCT model FROM rows JOIN acknowledged USING (number) WHERE outcome IN (1, 3) OR {found})
            ORDER BY owner, model_version"""  # noqa: S608 - one of two constants
        return list(self._execute(query))

    def owner_counts(self) -> Iterator[tuple[str, str, int]]:
        """Owner, table and accepted rows, by owner."""
        yield from self._each('SELECT owner, "table", rows FROM owners ORDER BY owner, "table"')

    def owner_count(self) -> int:
        found: tuple[int] = self._execute("SELECT count(DISTINCT owner) FROM owners").fetchone()
        return found[0]

    def acknowledge(self, outcomes: Iterable[tuple[int, Outcome]]) -> None:
        """Commit what became of rows."""
        self.begin()
        self._execute_many("INSERT OR REPLACE INTO acknowledged VALUES (?, ?)", outcomes)
        self.commit()

    def is_acknowledged(self, number: int) -> bool:
        return self._execute("SELECT 1 FROM acknowledged WHERE number = ?", (number,)).fetchone() is not None

    def outcome_counts(self) -> dict[Outcome, int]:
        query = "SELECT outcome, count(*) FROM acknowledged GROUP BY outcome ORDER BY outcome"
        return {Outcome(outcome): count for outcome, count in self._execute(query)}

    def was_there(self, key: bytes) -> bool:
        """Whether an earlier run has written the row, or found it as it should be."""
        return self._execute("SELECT 1 FROM earlier WHERE key = ?", (_short(key),)).fetchone() is not None

    def was_written(self, key: bytes) -> bool:
        """Whether an earlier run itself has written the row."""
        return self._execute("SELECT 1 FROM earlier WHERE key = ? AND written", (_short(key),)).fetchone() is not None

    def note_written(self, keys: Iterable[bytes]) -> None:
        """Note rows that this run has written though the source has none under their keys."""
        self.begin()
        self._execute_many("INSERT OR REPLACE INTO earlier VALUES (?, 1)", ((_short(key),) for key in keys))
        self.commit()

    def row_count(self) -> int:
        found: tuple[int] = self._execute("SELECT count(*) FROM rows").fetchone()
        return found[0]

    def close(self) -> None:
        self._connection.close()

    def _execute(self, query: str, values: Iterable[object] = ()) -> sqlite3.Cursor:
        try:
            return self._connection.execute(query, tuple(values))
        except sqlite3.DatabaseError as error:
            raise translated(error, self._path) from error

    def _each(self, query: str) -> Iterator[Any]:
        with told(self._path):
            yield from self._connection.execute(query)

    def _execute_many(self, query: str, values: Iterable[tuple[object, ...]]) -> None:
        with told(self._path):
            self._connection.executemany(query, values)


def _short(key: bytes) -> bytes:
    """Two of a billion keys agree in this with a chance of 10^-21."""
    return hashlib.sha256(key).digest()[:_KEY_BYTES]
