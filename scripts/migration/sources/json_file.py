"""A JSON file of any size: a list of objects, which is one collection, or an object of such lists.

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
                    yield from _rows(stream, f"{self.state.path.name}:{name}")
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
            if stream.peek() == "[" and name not in source.names:
                source.names.append(name)
            elif stream.peek() == "[":
                raise SourceError(f"{place} has two lists called {name}.")
            else:
                source._left_out[_OTHER] = source._left_out.get(_OTHER, 0) + 1
            _pass_over(stream)
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


def _pass_over(stream: JsonStream) -> None:
    """Past a value, however long, whose content does not matter here."""
    if stream.peek() == "[":
        for _ in stream.elements():
            stream.skip()
    else:
        stream.skip()
