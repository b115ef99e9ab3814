"""The documents of releases, and whether a new one may follow: what breaks a client takes a version that says so."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scripts.description.breaking import Break, breaks
from scripts.description.document import PROJECT, readable

RELEASED = PROJECT / "docs" / "released"
Version = tuple[int, int, int]


def version_of(text: str) -> Version:
    """A version of three numbers (Semantic Versioning 2.0.0, section 2). Raises ValueError for another text."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text)
    if not found:
        raise ValueError(f"{text!r} is no version of three numbers")
    return int(found[1]), int(found[2]), int(found[3])


def may_break(old: Version, new: Version) -> bool:
    """Whether the new version says that it breaks: another major one, or below 1.0.0 another minor one (section 4)."""
    return new[0] > old[0] or (new[0] == old[0] == 0 and new[1] > old[1])


def last_released(folder: Path = RELEASED) -> dict[str, Any] | None:
    """The document of the highest released version; None where there was none."""
    found = {version_of(path.stem.removeprefix("openapi-")): path for path in folder.glob("openapi-*.json")}
    if not found:
        return None
    document: dict[str, Any] = json.loads(found[max(found)].read_text(encoding="utf-8"))
    return document


def unannounced(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Break]:
    """The changes of the new document that break a client of the old one, though its version does not say so."""
    versions = version_of(old["info"]["version"]), version_of(new["info"]["version"])
    return [] if may_break(*versions) else breaks(old, new)


class AlreadyReleased(Exception):
    """The version was released with another document: written over, it would hide what breaks that one's clients."""


def keep(document: Mapping[str, Any], folder: Path = RELEASED) -> Path:
    """Write the document down as that of its version's release; returns where.

    Raises AlreadyReleased where another one is kept for this version.
    """
    path = folder / f"openapi-{document['info']['version']}.json"
    text = readable(document)
    if path.is_file() and path.read_text(encoding="utf-8") != text:
        raise AlreadyReleased(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
