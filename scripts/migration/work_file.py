"""The file of a journal: its tables, what a new one takes over from the one before, and what its errors mean."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from scripts.migration.failure import MigrationError

FORMAT = "2"
_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (number INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, position TEXT NOT NULL, digest BLOB NOT NULL,
  source BLOB NOT NULL, model INTEGER);
CREATE TABLE owners (owner TEXT, "table" TEXT, rows INTEGER NOT NULL, PRIMARY KEY (owner, "table")) WITHOUT ROWID;
CREATE TABLE models (number INTEGER PRIMARY KEY, owner TEXT, model_version TEXT, dimension INTEGER NOT NULL,
  first_created TEXT NOT NULL, rows INTEGER NOT NULL, UNIQUE (owner, model_version));
CREATE TABLE acknowledged (number INTEGER PRIMARY KEY, outcome INTEGER NOT NULL);
CREATE TABLE earlier (key BLOB PRIMARY KEY, written INTEGER NOT NULL) WITHOUT ROWID;
"""
_CARRY_OVER = """
INSERT INTO earlier SELECT key, written FROM before.earlier;
INSERT INTO earlier SELECT key, outcome <> 2 FROM before.rows JOIN before.acknowledged USING (number) WHERE outcome <= 3
  ON CONFLICT DO UPDATE SET written = max(written, excluded.written);
INSERT INTO meta SELECT 'before', value FROM before.meta WHERE name = 'phase';
"""
"""Outcomes up to REPLACED: the row was in the table then, as this migration has it. A PRESENT one may be another's."""


def create_work_file(path: Path, target: str, check: Callable[[], None]) -> None:
    """Put a new one in place of whatever is there; `check` raises where that is no work file of this format."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    with told(path), closing(sqlite3.connect(partial, isolation_level=None)) as connection:
        connection.executescript(_TABLES)
        connection.execute("INSERT INTO meta VALUES ('format', ?), ('target', ?)", (FORMAT, target))
        if path.exists():
            check()
            _carry_over(connection, path, target)
    for stale in (path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        stale.unlink(missing_ok=True)
    partial.replace(path)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Raises MigrationError for what the disk or the file does to the block."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise translated(error, path) from error


def translated(error: sqlite3.DatabaseError, path: Path) -> Exception:
    """What the disk or the file has done to it; a wrong statement is a defect, and stays as it is."""
    if isinstance(error, sqlite3.ProgrammingError | sqlite3.IntegrityError):
        return error
    return MigrationError(
        f"The work file {path} cannot be used ({error}). Make room where the disk is full, and resume. If it is "
        "damaged, remove it and apply anew: rows that are there already are recognised."
    )


def _carry_over(connection: sqlite3.Connection, path: Path, target: str) -> None:
    connection.execute("ATTACH ? AS before", (str(path),))
    known = connection.execute("SELECT value FROM before.meta WHERE name = 'target'").fetchone()
    if known == (target,):
        connection.executescript(_CARRY_OVER)
    connection.execute("DETACH before")
