"""The folder of one migration: its journal, its rejects and its report, and the lock that keeps it to one process."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.local import locks
from scripts.migration.failure import MigrationError
from shared.models.fields import new_id


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """Only its owner may read it: it holds ids and glimpses of values."""

    root: Path

    @property
    def command(self) -> Path:
        """What is migrated from where to where, so that `resume`, `verify` and `report` need not be told again."""
        return self.root / "command.json"

    @property
    def journal(self) -> Path:
        return self.root / "journal.sqlite"

    @property
    def scratch(self) -> Path:
        """What a reading of the source for `plan` or `verify` notes."""
        return self.root / "scratch.sqlite"

    @property
    def rejects(self) -> Path:
        """What the writing left behind, some of it found only then; no other verb touches it."""
        return self.root / "rejects.jsonl"

    def rejects_of(self, verb: str) -> Path:
        return self.rejects if verb in ("apply", "resume") else self.root / f"rejects-{verb}.jsonl"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def owners(self) -> Path:
        """The counts of every owner, a JSON line each: there may be millions."""
        return self.root / "owners.jsonl"

    @property
    def holder(self) -> str:
        """The name under which this folder's runs lock the target; the same after one was killed."""
        path = self.root / "holder"
        if not path.exists():
            _write_whole(path, [new_id()])
        return path.read_text(encoding="utf-8")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Raises MigrationError where another process works in it."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = locks.acquire(self.root / "lock")
        except OSError as error:
            raise MigrationError(
                f"The folder {self.root} cannot be used ({error}): name another with --work."
            ) from error
        if lock is None:
            raise MigrationError(f"Another process works in {self.root}: wait for it to end.")
        try:
            yield
        finally:
            lock.close()

    def write(self, path: Path, document: dict[str, Any]) -> None:
        text = json.dumps(document, indent=2, ensure_ascii=False)
        _write_whole(path, [f"{text}\n"])

    def write_lines(self, path: Path, documents: Iterable[dict[str, Any]]) -> None:
        _write_whole(path, (f"{json.dumps(document, ensure_ascii=False)}\n" for document in documents))

    def read(self, path: Path) -> dict[str, Any]:
        """Raises MigrationError where there is none."""
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise MigrationError(
                f"There is no {path.name} in {self.root}: begin with plan or apply, or name the folder with --work."
            ) from error
        return document


def _write_whole(path: Path, parts: Iterable[str]) -> None:
    """A process that is killed leaves the file of before, or the new one."""
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    with partial.open("w", encoding="utf-8") as file:
        file.writelines(parts)
    partial.replace(path)
