"""Files of text, as they are or compressed with gzip, alone or all those of a folder."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow
from scripts.migration.sources.unchanged import FileState

_GZIP = ".gz"

Rows = Iterator[SourceRow | UnreadableRow]


@dataclass(frozen=True, slots=True)
class TextFiles:
    """A source whose collections are files; `read` gives the rows of one."""

    files: dict[str, FileState]
    read: Callable[[FileState], Rows]

    def collections(self) -> list[str]:
        return list(self.files)

    def rows(self, collection: str) -> Rows:
        state = self.files.get(collection)
        if state is None:
            raise SourceError(f"There is no file of {collection}; there are {', '.join(self.files)}.")
        yield from self.read(state)

    def left_out(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        """Nothing is open between readings."""


def found_files(place: str, endings: tuple[str, ...]) -> dict[str, FileState]:
    """The file, or the files of a folder with these endings, by the name without ending. Raises SourceError."""
    path = Path(place)
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    wanted = [file for file in paths if not path.is_dir() or _plain(file).suffix in endings]
    if not wanted:
        raise SourceError(f"The folder {path} has no files that end with {' or '.join(endings)}.")
    files = {_plain(file).stem: FileState.of(file) for file in wanted}
    if len(files) < len(wanted):
        raise SourceError(f"The folder {path} has two files of one name with different endings: move one away.")
    return files


@contextmanager
def opened(state: FileState, newline: str | None = None) -> Iterator[TextIO]:
    """The text of a file that must be the one that was found. Raises SourceError where it is not, or is no UTF-8."""
    state.ensure()
    try:
        with _open(state.path, newline) as file:
            yield file
    except UnicodeDecodeError as error:
        raise SourceError(f"{state.path} is not UTF-8 ({error.reason}): convert it, with iconv for example.") from error
    except (OSError, EOFError) as error:
        raise SourceError(f"{state.path} cannot be read to its end ({error}): is the file whole?") from error
    state.ensure()


def _open(path: Path, newline: str | None) -> TextIO:
    if path.suffix == _GZIP:
        return gzip.open(path, "rt", encoding="utf-8-sig", newline=newline)
    return path.open(encoding="utf-8-sig", newline=newline)


def _plain(path: Path) -> Path:
    return path.with_suffix("") if path.suffix == _GZIP else path
