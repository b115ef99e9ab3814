"""A JSON file of any size: a list of objects, which is one collection, or an object of such lists.

An object that has objects in it (`{"r1": {...}, "r2": {...}}`) is a collection as well, of rows that cannot be read:
their names may be part of what they say, and they must not be passed over without a word.

The standard library's parser reads value by value, since it alone tells of NaN and of members that are named twice;
a parser such as ijson takes the last of these without a word and stops the file at a NaN.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scripts.migration.sources.json_stream import JsonStream
from scripts.migration.sources.options import Options
from scripts.migration.sources.source import SourceError, SourceRow, UnreadableRow
from scripts.migration.sources.text_files import found_files, opened
from scripts.migration.sources.unchanged import FileState

_OTHER = "members of the file that are no list"


@dataclass(slots=True)
class JsonFile:
    stem: str
    state: FileState
    names: list[str] = field(default_factory=list)
    _left_out: dict[str, int] = field(default_factory=dict)

    def collections(self) -> list[str]:
        return self.names

    def rows(self, collection: str) -> Iterator[SourceRow | UnreadableRow]:
        if collection not in self.names:
            raise SourceError(f"{self.state.path} has no list {collection}; it has {', '.join(self.names) or 'none'}.")
        with opened(self.state) as file:
            stream = JsonStream(file, str(self.state.path))
            if stream.peek() == "[":
                yield from _rows(stream, self.state.path.name)
                stream.expect_end()
                return
            for name in stream.members():
                if name == collection:
                    read = _rows if stream.peek() == "[" else _named_rows
                    yield from read(stream, f"{self.state.path.name}:{name}")
                    return
                _pass_over(stream)

    def left_out(self) -> dict[str, int]:
        return self._left_out

    def close(self) -> None:
        """Nothing is open between readings."""


def open_source(place: str, options: Options) -> JsonFile:
    """Raises SourceError for a file that is missing, or no JSON as far as its lists have to be found."""
    if not Path(place).is_file():
        raise SourceError(f"There is no file {place}.")
    ((stem, state),) = found_files(place, (".json",)).items()
    source = JsonFile(stem, state)
    with opened(state) as file:
        stream = JsonStream(file, place)
        if stream.peek() == "[":
            source.names = [stem]
            return source
        for name in stream.members():
            if not _pass_over(stream):
                source._left_out[_OTHER] = source._left_out.get(_OTHER, 0) + 1
            elif name in source.names:
                raise SourceError(f"{place} has two lists called {name}.")
            else:
                source.names.append(name)
        stream.expect_end()
    return source


def _rows(stream: JsonStream, label: str) -> Iterator[SourceRow | UnreadableRow]:
    for number in stream.elements():
        position = f"{label}:{number}"
        try:
            value = stream.value()
        except (ValueError, RecursionError) as error:
            yield UnreadableRow(position, str(error))
            continue
        if isinstance(value, dict):
            yield SourceRow(position, value)
        else:
            yield UnreadableRow(position, "is no object")


def _named_rows(stream: JsonStream, label: str) -> Iterator[SourceRow | UnreadableRow]:
    for name in stream.members():
        stream.skip()
        yield UnreadableRow(
            f"{label}:{name}", "is a member of an object: write the objects as a list, with their names"
        )


def _pass_over(stream: JsonStream) -> bool:
    """Past a value, however long; whether it may hold rows: is a list, or an object with objects."""
    if stream.peek() == "[":
        for _ in stream.elements():
            stream.skip()
        return True
    if stream.peek() != "{":
        stream.skip()
        return False
    kinds = set()
    for _ in stream.members():
        kinds.add(stream.peek())
        stream.skip()
    return "{" in kinds
