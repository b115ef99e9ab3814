"""CSV as RFC 4180 describes it, the first line with the names. A file is a collection, a folder has one in each.

Every value is a text; what it stands for, the mapping says.
"""

import csv
from typing import TextIO

from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow
from scripts.migration.sources.text_files import Rows, TextFiles, found_files, opened
from scripts.migration.sources.unchanged import FileState

_ENDINGS = (".csv",)
_LONGEST_FIELD = 64 * 1024 * 1024


def open_source(place: str, options: Options) -> TextFiles:
    """Raises SourceError where there is no such file, or no CSV in the folder."""
    csv.field_size_limit(_LONGEST_FIELD)
    return TextFiles(found_files(place, _ENDINGS), _read)


def _read(state: FileState) -> Rows:
    with opened(state, newline="") as file:
        try:
            yield from _rows(file, state)
        except csv.Error as error:
            raise SourceError(f"{state.path} is not CSV: {error}.") from error


def _rows(file: TextIO, state: FileState) -> Rows:
    reader = csv.reader(file, strict=True)
    names = next(reader, [])
    if not names or len(set(names)) < len(names) or "" in names:
        raise SourceError(f"{state.path}: the first line must name every column, each by a name of its own.")
    for values in reader:
        position = f"{state.path.name}:{reader.line_num}"
        if len(values) == len(names):
            yield SourceRow(position, dict(zip(names, values, strict=True)))
        elif values:
            yield UnreadableRow(position, f"has {len(values)} values for {len(names)} columns")
