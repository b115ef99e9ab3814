"""JSON values one by one out of a text of any size, each parsed as `json_text.loads` would."""

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from scripts.migration.sources.source import SourceError
from shared.models import json_text

_CHUNK = 1 << 20
_MOST = 64 * _CHUNK
"""Characters of one value; what is longer is taken for a text that does not end."""

_SPACE = re.compile(r"[ \t\n\r]*")


class JsonStream:
    """A position in a JSON text. Every method raises SourceError where the text does not go on as JSON does."""

    def __init__(self, file: TextIO, name: str) -> None:
        self._file = file
        self._name = name
        self._text = ""
        self._at = 0
        self._is_complete = False
        self._before = 0

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text) or not self._read_on():
                return self._text[self._at : self._at + 1]

    def take(self, wanted: str) -> bool:
        """Go past the next character if it is this one."""
        if self.peek() != wanted:
            return False
        self._at += 1
        return True

    def expect(self, wanted: str) -> None:
        if not self.take(wanted):
            raise self._broken(f"{wanted} is expected")

    def value(self) -> Any:
        """The next value. Raises ValueError for one that ends, but is none that K9 reads (a member named twice)."""
        start = self.skip()
        text = self._text[start : self._at]
        return json_text.loads(text)

    def members(self) -> Iterator[str]:
        """The names of an object's members; the caller takes each value before it goes on."""
        self.expect("{")
        while not self.take("}"):
            name = self.value()
            if not isinstance(name, str):
                raise self._broken("a member's name is expected")
            self.expect(":")
            yield name
            if not self.take(",") and self.peek() != "}":
                raise self._broken(", or } is expected")

    def elements(self) -> Iterator[int]:
        """The numbers of a list's elements, from 1; the caller takes each value before it goes on."""
        self.expect("[")
        number = 0
        while not self.take("]"):
            number += 1
            yield number
            if not self.take(",") and self.peek() != "]":
                raise self._broken(", or ] is expected")

    def skip(self) -> int:
        """Go past one value, wherever it ends; gives where it begins in the text, which has all of it."""
        self.peek()
        self._forget()
        while True:
            try:
                end = _DECODER.raw_decode(self._text, self._at)[1]
            except (json.JSONDecodeError, RecursionError) as error:
                if not self._read_on():
                    raise self._broken(getattr(error, "msg", "nested too deeply")) from error
                continue
            # A number at the end of what was read may go on.
            if end < len(self._text) or not self._read_on():
                start, self._at = self._at, end
                return start

    def expect_end(self) -> None:
        if self.peek():
            raise self._broken("the end is expected")

    def _read_on(self) -> bool:
        """Read as much again as there is, so that a long value is not looked through too often."""
        if self._is_complete:
            return False
        if len(self._text) - self._at > _MOST:
            raise self._broken("one value is longer than 64 million characters")
        more = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._is_complete = not more
        self._text += more
        return bool(more)

    def _forget(self) -> None:
        if self._at > _CHUNK:
            self._before += self._at
            self._text, self._at = self._text[self._at :], 0

    def _broken(self, reason: str) -> SourceError:
        return SourceError(f"{self._name} is not JSON from character {self._before + self._at + 1} on: {reason}.")


_DECODER = json.JSONDecoder(parse_int=len, parse_float=len)
"""It finds where a value ends; what numbers are, however long, does not matter to it."""
