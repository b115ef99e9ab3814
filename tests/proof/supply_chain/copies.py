"""Copies of what the supply chain is read from, to be broken."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.supply.sbom import ROOT

_FOLDERS = (".ci", "docs/sbom", "scripts/lib", "requirements")
_FILES = (
    ".audit.toml",
    "docs/LICENSES.md",
    "docs/security-exceptions.md",
    "scripts/supply/policy.toml",
    "src/shared/__init__.py",
    "tests/security/test_tokens.py",
)
_PATTERNS = ("scripts/*.sh", "infrastructure/*/requirements.txt", "infrastructure/export/k9_fonts/*")
_NOT_COPIED = shutil.ignore_patterns("node_modules")


@contextmanager
def copied_project() -> Iterator[Path]:
    """A folder that every checker takes for the project."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in _FOLDERS:
            shutil.copytree(ROOT / name, copy / name, ignore=_NOT_COPIED)
        for path in [
            *(ROOT / name for name in _FILES),
            *(path for pattern in _PATTERNS for path in ROOT.glob(pattern)),
        ]:
            target = copy / path.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            # Breakages write files anew, by the name of the copy: what is large stays a link.
            shutil.copyfile(path, target) if path.stat().st_size < 1_000_000 else target.symlink_to(path)
        yield copy


def replaced(path: Path, old: str, new: str) -> None:
    """Raises ValueError where there is nothing to replace: such a breakage would break nothing."""
    text = path.read_text(encoding="utf-8")
    if old not in text or old == new:
        raise ValueError(f"{path.name} has no {old!r} to make {new!r} of")
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
