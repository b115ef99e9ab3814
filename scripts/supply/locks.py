"""The lock files of Python's packages, `requirements/*.txt`, and what was asked for, `requirements/*.in`.

Read in the one form that uv writes them in: a line that is anything else is a fault, so that nothing in a lock file is
passed over in silence.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

_ENTRY = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[\w,. -]+\])?==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\]+?))?( \\)?"
)
_HASH = re.compile(r" {4}--hash=sha256:(?P<digest>[0-9a-f]{64})( \\)?")
_COMMENT = re.compile(r" *#(?: via)?(?P<source>.*)")
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[\w,.-]+\])?(?:==(?P<version>\S+))?")


class LockError(Exception):
    """A line of a file of requirements is not in the form that is read here."""


@dataclass(slots=True)
class Locked:
    """A package as a lock file has it."""

    name: str
    version: str
    marker: str = ""
    hashes: set[str] = field(default_factory=set)
    """Digests (SHA-256, hexadecimal) of the files that may be installed: all wheels of the version, for any machine."""

    via: list[str] = field(default_factory=list)
    """Packages of this file that ask for it, and files: `-r core.in`."""

    @property
    def pinned(self) -> str:
        return f"{self.name}=={self.version}"


def normalized(name: str) -> str:
    """https://packaging.python.org/en/latest/specifications/name-normalization/"""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> list[Locked]:
    """Raises LockError."""
    return _read(path.name, path.read_text(encoding="utf-8"))


@lru_cache(maxsize=64)
def _read(file: str, text: str) -> list[Locked]:
    """Kept, as the same files are read for more than one purpose: nobody changes what they get."""
    found: list[Locked] = []
    for number, line in enumerate(text.splitlines(), 1):
        if entry := _ENTRY.fullmatch(line):
            found.append(Locked(normalized(entry["name"]), entry["version"], entry["marker"] or ""))
        elif found and (digest := _HASH.fullmatch(line)):
            found[-1].hashes.add(digest["digest"])
        elif found and (comment := _COMMENT.fullmatch(line)):
            found[-1].via += _sources(comment["source"])
        else:
            raise LockError(f"{file}, line {number}: neither a pinned package nor a hash of one: {line.strip()!r}")
    return found


def _sources(text: str) -> list[str]:
    source = text.strip()
    if not source:
        return []
    return [source if source.startswith("-r ") else normalized(source)]


def read_input(path: Path) -> dict[str, dict[str, str]]:
    """What a `.in` file and those that it includes ask for: by file, names and versions ("" where any will do).

    Raises LockError.
    """
    asked: dict[str, dict[str, str]] = {path.name: {}}
    for line in path.read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if text.startswith("-r "):
            asked |= read_input(path.parent / text.removeprefix("-r ").strip())
        elif named := _NAMED.fullmatch(text):
            asked[path.name][normalized(named["name"])] = named["version"] or ""
        elif text:
            raise LockError(f"{path.name}: neither a package nor another file: {text!r}")
    return asked


def unasked(packages: Sequence[Locked], asked: dict[str, dict[str, str]]) -> Iterator[Locked]:
    """Those that no `.in` file asks for, neither itself nor by way of a package that is asked for."""
    named = {name for names in asked.values() for name in names}
    reached: set[str] = set()
    grown = True
    while grown:
        fresh = {package.name for package in packages if _is_asked(package, named, asked, reached)} - reached
        reached |= fresh
        grown = bool(fresh)
    return (package for package in packages if package.name not in reached)


def _is_asked(package: Locked, named: set[str], asked: dict[str, dict[str, str]], reached: set[str]) -> bool:
    files = {source.removeprefix("-r ") for source in package.via if source.startswith("-r ")}
    by_file = any(package.name in asked.get(file, {}) for file in files)
    # A lock file without comments says nothing of whence: what is asked for by name is.
    return by_file or (not package.via and package.name in named) or not reached.isdisjoint(package.via)
