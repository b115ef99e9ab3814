"""Whether a file is still the one that was opened."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from scripts.migration.sources.source import SourceError


@dataclass(frozen=True, slots=True)
class FileState:
    path: Path
    size: int
    modified: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Raises SourceError for a file that is not there."""
        try:
            found = path.stat()
        except OSError as error:
            raise SourceError(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from error
        return cls(path, found.st_size, found.st_mtime_ns, found.st_ino)

    def ensure(self) -> None:
        """Raises SourceError if it was written to or replaced since."""
        if FileState.of(self.path) != self:
            raise SourceError(
                f"{self.path} was changed while it was being read: stop what writes to it, or copy it, and start again."
            )
