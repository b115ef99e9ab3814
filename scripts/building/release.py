"""What a deployment is made of, as one short text: the same code and parameters give the same one, and no change."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

_PARTS = ("src", "infrastructure", "requirements", "scripts/building/bytecode.py", "scripts/building/swagger_ui.py")
# swagger_ui is made of what is counted, and need not be there yet.
_LEFT_OUT = frozenset({"__pycache__", ".aws-sam", "swagger_ui"})


def release_of(project: Path, parameters: Mapping[str, str]) -> str:
    """16 hexadecimal digits for the files that are built and the parameters that are given, by name."""
    digest = hashlib.sha256()
    for path in _files(project):
        _add(digest, str(path.relative_to(project)).encode(), path.read_bytes())
    for name, value in sorted(parameters.items()):
        _add(digest, name.encode(), value.encode())
    return digest.hexdigest()[:16]


def _files(project: Path) -> Iterator[Path]:
    for part in _PARTS:
        root = project / part
        for path in [root] if root.is_file() else sorted(root.rglob("*")):
            if path.is_file() and _LEFT_OUT.isdisjoint(path.parts):
                yield path


def _add(digest: "hashlib._Hash", *parts: bytes) -> None:
    """Lengths first, so that no two lists of parts look alike."""
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
