"""The project's Markdown as tests read it: fenced blocks with their marks, headings, tables and links.

A mark is an HTML comment in the line before a fence, which a reader does not see:

    <!-- not run: needs an AWS account -->   why a block is only looked at
    <!-- output -->                          what the block before it prints, `...` standing for anything
    <!-- file: app.py -->                    is written under this name before the page's blocks run
    <!-- app -->                             a command that serves the page's files until it is stopped
    <!-- body: POST /embeddings/search -->   a request's body, which is sent
    <!-- answer: POST /embeddings/batch -->  an answer's body, of the route's own form
    <!-- problem -->                         a problem document, of the form that `shared.errors` gives
    <!-- filter -->                          a filter of searches
    <!-- mapping -->                         a migration's mapping
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from scripts.local.folder import PROJECT

MARKS = {
    "not run": True,
    "output": False,
    "file": True,
    "app": False,
    "body": True,
    "answer": True,
    "problem": False,
    "filter": False,
    "mapping": False,
}
"""Every mark, and whether it has a value after a colon."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<language>[\w+-]*) *$")
_MARK = re.compile(r"^ *<!-- (?P<kind>[a-z ]+?)(?:: (?P<value>.+?))? -->$")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$")
_LINK = re.compile(r"(?<!!)\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_CODE = re.compile(r"`[^`\n]*`")
_CELL = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True, slots=True)
class Mark:
    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; `line` is where its text begins."""

    page: str
    line: int
    language: str
    text: str
    mark: Mark | None = None

    def is_marked(self, kind: str) -> bool:
        return self.mark is not None and self.mark.kind == kind

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Page:
    """One file; `name` is its path from the project's root."""

    name: str
    text: str

    @classmethod
    def read(cls, name: str) -> "Page":
        return cls(name, (PROJECT / name).read_text(encoding="utf-8"))

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        return tuple(_blocks(self.name, self.text.splitlines()))

    @cached_property
    def prose(self) -> str:
        """The page without its fenced blocks, line by line as before."""
        lines = self.text.splitlines()
        for block in self.blocks:
            length = block.text.count("\n")
            lines[block.line - 2 : block.line + length] = [""] * (length + 2)
        return "\n".join(lines)

    @cached_property
    def anchors(self) -> frozenset[str]:
        """What its headings can be linked by, as GitHub makes them of their text."""
        found: dict[str, int] = {}
        for heading in self.headings:
            slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
            found[slug] = found.get(slug, -1) + 1
            if found[slug]:
                found[f"{slug}-{found[slug]}"] = 0
        return frozenset(found)

    @cached_property
    def headings(self) -> tuple[str, ...]:
        return tuple(found[1] for line in self.prose.splitlines() if (found := _HEADING.match(line)))

    @property
    def links(self) -> list[str]:
        return _LINK.findall(_CODE.sub("``", self.prose))

    def tables(self, first: str) -> list[list[str]]:
        """The rows of all tables whose first column is headed so."""
        return [row for rows in _tables(self.prose) if rows[0][0] == first for row in rows[2:]]


def pages() -> list[Page]:
    """Every page whose code is to work."""
    names = [
        "README.md",
        "SECURITY.md",
        *sorted(str(path.relative_to(PROJECT)) for path in (PROJECT / "docs").rglob("*.md")),
        *sorted(str(path.relative_to(PROJECT)) for path in PROJECT.glob("clients/*/*.md")),
        "scripts/README.md",
        "benchmarks/README.md",
    ]
    return [Page.read(name) for name in names]


def code(cell: str) -> str:
    """What a table's cell says in backticks; raises ValueError where it does not say it in one pair."""
    if not re.fullmatch(r"`[^`]+`", cell):
        raise ValueError(f"not one piece of code: {cell}")
    return cell[1:-1].replace("\\|", "|")


def _blocks(page: str, lines: list[str]) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if not opening:
            number += 1
            continue
        first, indent = number + 1, opening["indent"]
        end = next(
            (end for end in range(first, len(lines)) if lines[end].strip() == opening["fence"]),
            None,
        )
        if end is None:
            raise ValueError(f"{page}:{first}: the fence is never closed")
        text = "".join(line.removeprefix(indent) + "\n" for line in lines[first:end])
        yield Block(page, first + 1, opening["language"], text, _mark(f"{page}:{number}", lines[:number]))
        number = end + 1


def _mark(place: str, before: list[str]) -> Mark | None:
    found = _MARK.match(before[-1]) if before else None
    if not found:
        return None
    kind, value = found["kind"], found["value"] or ""
    if kind not in MARKS or MARKS[kind] != bool(value):
        raise ValueError(f"{place}: no such mark: {before[-1].strip()}")
    return Mark(kind, value)


def _tables(prose: str) -> Iterator[list[list[str]]]:
    rows: list[list[str]] = []
    for line in [*prose.splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in _CELL.split(line)[1:-1]])
        elif rows:
            yield rows
            rows = []
