"""What the package needs; tests/artifact builds and installs it."""

import ast
import sys
import tomllib
from pathlib import Path

import pytest

from k9_api import __version__

PROJECT = Path(__file__).parents[3] / "clients" / "python"
SOURCE = PROJECT / "src" / "k9_api"


def imported(file: Path) -> set[str]:
    """The packages that a file imports, but for its own."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_file_needs_httpx_at_most(file: Path) -> None:
    assert imported(file) - sys.stdlib_module_names <= {"httpx", "_typeshed"}


def test_what_the_project_file_says_is_so() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    assert [need.partition(">")[0] for need in project["project"]["dependencies"]] == ["httpx"]
    assert project["project"]["requires-python"] == ">=3.11"
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "k9_api.version.VERSION"}
    assert __version__.count(".") == 2
