"""Facts of the project's own files."""

import ast
import hashlib
from pathlib import Path

_VERSION = Path("src/shared/__init__.py")


def version_of(root: Path) -> str:
    """`shared.__version__`, read without running anything."""
    for node in ast.parse((root / _VERSION).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "__version__" for t in node.targets
        ):
            return str(ast.literal_eval(node.value))
    raise LookupError(f"{_VERSION} has no __version__")


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
