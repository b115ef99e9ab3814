"""NDJSON (JSON Lines): a row a line. A file is a collection, a folder has one in each of its files."""

from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow
from scripts.migration.sources.text_files import Rows, TextFiles, found_files, opened
from scripts.migration.sources.unchanged import FileState
from shared.models import json_text

_ENDINGS = (".ndjson", ".jsonl")
_MOST = 64 * 1024 * 1024
"""Characters of one line; what is longer is taken for a file that has none."""


def open_source(place: str, options: Options) -> TextFiles:
    """Raises SourceError where there is no such file, or no NDJSON in the folder."""
    return TextFiles(found_files(place, _ENDINGS), _read)


def _read(state: FileState) -> Rows:
    with opened(state, newline="\n") as file:
        number = 0
        while line := file.readline(_MOST):
            number += 1
            if len(line) == _MOST:
                raise SourceError(f"{state.path}, line {number}, is longer than 64 million characters.")
            if line.strip():
                yield _row(f"{state.path.name}:{number}", line)


def _row(position: str, line: str) -> SourceRow | UnreadableRow:
    try:
        value = json_text.loads(line)
    except (ValueError, RecursionError) as error:
        return UnreadableRow(position, f"is no JSON ({error})")
    return SourceRow(position, value) if isinstance(value, dict) else UnreadableRow(position, "is no object")
