"""What is fuzzed: one reader of strangers' bytes, what it may answer, and how its inputs are made up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

Raw = Callable[[bytes, int], bytes]
"""The engine's own mutation of some bytes, to at most so many."""

Mutate = Callable[[bytes, Random, Raw, int], bytes]
"""An input made of another one: by what it is (a token, a request) or, now and then, by its bytes."""


@dataclass(frozen=True, slots=True)
class Target:
    """One reader. `check` reads an input as the product does, and says which of `labels` the answer was.

    It raises whatever the reader raises but does not document, and AssertionError where the answer is not the one that
    an independent reading of the rules gives. It needs no fuzzing engine.
    """

    name: str
    labels: Sequence[str]
    """All that can come of an input, each `kind` or `kind: reason`. One that never comes has shown nothing."""

    check: Callable[[bytes], str]
    mutate: Mutate
    seeds: Callable[[], Sequence[bytes]]
    """Inputs to begin with, which together come to every label."""

    runs: int
    """Of the ten million."""

    max_length: int = 4096
    words: Sequence[bytes] = field(default=())
    """What bytes of such inputs may consist of, for the engine's own mutations."""


def to_line(data: bytes) -> str:
    """Bytes as a line of ASCII in which text can be read."""
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def from_line(line: str) -> bytes:
    return line.encode("ascii").decode("unicode_escape").encode("latin-1")


def from_file(file: Path) -> list[bytes]:
    """Inputs that are kept together, a line each."""
    return [from_line(line) for line in file.read_text(encoding="ascii").splitlines()]
