"""A test that a page names as the proof of what it says is there."""

import ast
import re
from functools import cache

import pytest

from scripts.local.folder import PROJECT
from tests.support.markdown import pages

_NAMED = re.compile(r"`(tests/[\w/]+\.py)((?:::\w+)*)`")
NAMED = sorted({(file, names) for page in pages() for file, names in _NAMED.findall(page.text)})


def test_there_are_some() -> None:
    assert sum(bool(names) for _, names in NAMED) > 60


@pytest.mark.parametrize(("file", "names"), NAMED)
def test_it_is_there(file: str, names: str) -> None:
    assert names.removeprefix("::") in _tests_of(file)


@cache
def _tests_of(file: str) -> frozenset[str]:
    """Every test and class of tests as pytest calls it, and the file itself as an empty name."""
    tree = ast.parse((PROJECT / file).read_text(encoding="utf-8"))
    found = {""}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = [inner.name for inner in node.body if isinstance(inner, ast.FunctionDef)]
            found |= {node.name, *(f"{node.name}::{name}" for name in methods if name.startswith("test_"))}
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            found.add(node.name)
    return frozenset(found)
