"""Bytecode is added once for all functions, where Lambda will look for it, and the same for the same source."""

import marshal
import sys
from pathlib import Path
from types import CodeType

import pytest

from scripts.building.artifacts import Artifacts, BuildError
from scripts.building.bytecode import compile_ahead

TEMPLATE = """
Globals: { Function: { Runtime: PYTHON, Layers: [!Ref Base] } }
Resources:
  Base: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: Base } }
  One: { Type: AWS::Serverless::Function, Properties: { Handler: a.handler, CodeUri: One } }
  Two: { Type: AWS::Serverless::Function, Properties: { Handler: b.handler, CodeUri: Two } }
"""
SOURCE = "def handler(event, context):\n    return event in {'a', 'b', 'c'}\n"


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return make(tmp_path)


def make(folder: Path, python: str = sys.executable) -> Artifacts:
    for name in (
        "One/handlers/a.py",
        "Two/handlers/a.py",
        "Base/python/pack/__init__.py",
        "Base/python/pack/tests/t.py",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SOURCE)
    (folder / "template.yaml").write_text(TEMPLATE.replace("PYTHON", python))
    return Artifacts(folder)


def bytecode(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.pyc"))}


def place(made: bytes) -> str:
    """Where a traceback will say that the code is."""
    code = marshal.loads(made[16:])  # noqa: S302 - made by the test itself
    assert isinstance(code, CodeType)
    return code.co_filename


def test_functions_and_layers_have_it_where_lambda_puts_them(artifacts: Artifacts) -> None:
    compile_ahead(artifacts)
    found = bytecode(artifacts.folder)
    places = {name.split("/__pycache__")[0]: place(made) for name, made in found.items()}
    assert places == {
        "One/handlers": "/var/task/handlers/a.py",
        "Two/handlers": "/var/task/handlers/a.py",
        "Base/python/pack": "/opt/python/pack/__init__.py",
    }


def test_it_holds_whatever_the_times_of_files_are(artifacts: Artifacts) -> None:
    compile_ahead(artifacts)
    flags = {int.from_bytes(made[4:8], "little") for made in bytecode(artifacts.folder).values()}
    assert flags == {0b01}  # a hash, which is not checked (PEP 552)


def test_the_same_source_makes_the_same_bytes(tmp_path: Path) -> None:
    """Otherwise each deployment would find a change."""
    one, other = make(tmp_path / "one"), make(tmp_path / "other")
    compile_ahead(one)
    compile_ahead(other)
    assert bytecode(one.folder) == bytecode(other.folder)


def test_what_cannot_be_compiled_is_named(artifacts: Artifacts) -> None:
    (artifacts.folder / "Base" / "python" / "broken.py").write_text("def")
    with pytest.raises(BuildError, match="Base could not be compiled by"):
        compile_ahead(artifacts)


def test_a_folder_of_tests_above_the_build_is_not_taken_for_a_packages_own(tmp_path: Path) -> None:
    artifacts = make(tmp_path / "tests" / "k9")
    compile_ahead(artifacts)
    assert len(bytecode(artifacts.folder)) == 3


def test_a_build_without_any_bytecode_is_no_success(artifacts: Artifacts) -> None:
    for path in (artifacts.folder / "One").rglob("*.py"):
        path.unlink()
    with pytest.raises(BuildError, match="One has no bytecode"):
        compile_ahead(artifacts)
