"""Many JSON objects in one block of bytes: a fraction of the memory of parsed ones, read one or all at a time."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ..models.json_text import dumps, loads
from ..models.json_value import JsonObject

_COMMA = b","


class Documents:
    """n JSON objects as UTF-8 text, joined by commas, so that `b"[" + blob + b"]"` is a JSON array of them all.

    `offsets` is int64 (n + 1,): document i is `blob[offsets[i] : offsets[i + 1] - 1]`. The byte left out is the comma
    after it; the last offset is `len(blob) + 1`, as if a comma ended the last one too. Where n is 0 they are `[0]`.
    """

    __slots__ = ("blob", "offsets")

    def __init__(self, blob: bytes, offsets: npt.NDArray[np.int64]) -> None:
        """Neither is checked nor copied."""
        self.blob = blob
        self.offsets = offsets

    @classmethod
    def of(cls, documents: Sequence[JsonObject]) -> "Documents":
        """These objects as compact JSON text; a Decimal is written as the number it is."""
        return cls.of_texts(map(dumps, documents))

    @classmethod
    def of_texts(cls, texts: Iterable[str]) -> "Documents":
        """These texts, each of one JSON object (not checked)."""
        return cls._of_parts([text.encode() for text in texts])

    @classmethod
    def join(cls, parts: "Sequence[Documents]") -> "Documents":
        """The documents of all parts, in order."""
        filled = [part for part in parts if len(part)]
        starts = np.cumsum([0, *(len(part.blob) + 1 for part in filled)], dtype=np.int64)
        moved = [part.offsets[:-1] + start for part, start in zip(filled, starts[:-1], strict=True)]
        return cls(_COMMA.join(part.blob for part in filled), np.concatenate([*moved, starts[-1:]]))

    @classmethod
    def _of_parts(cls, parts: list[bytes]) -> "Documents":
        return cls(_COMMA.join(parts), np.cumsum([0, *(len(part) + 1 for part in parts)], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def nbytes(self) -> int:
        """Bytes of the text and the offsets."""
        return len(self.blob) + self.offsets.nbytes

    def text(self, index: int) -> str:
        """The JSON text of one document, 0 <= index < n."""
        return self._part(index).decode()

    def load(self, index: int) -> JsonObject:
        """One document, its numbers exact (int or Decimal)."""
        document: JsonObject = loads(self.text(index))
        return document

    def select(self, indices: Iterable[int]) -> "Documents":
        """A new `Documents` of these, in this order."""
        return self._of_parts([self._part(index) for index in indices])

    def _part(self, index: int) -> bytes:
        return self.blob[self.offsets[index] : self.offsets[index + 1] - 1]
