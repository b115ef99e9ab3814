"""The release changes with what is deployed, and with nothing else."""

from pathlib import Path

import pytest

from scripts.building.release import release_of


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("src", "infrastructure", "requirements", "docs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("text")
    (tmp_path / "scripts" / "building").mkdir(parents=True)
    for name in ("bytecode.py", "build.py"):
        (tmp_path / "scripts" / "building" / name).write_text("text")
    return tmp_path


def test_the_same_gives_the_same(project: Path) -> None:
    before = release_of(project, {"A": "1", "B": "2"})
    (project / "src" / "__pycache__").mkdir()
    (project / "src" / "__pycache__" / "file.pyc").touch()
    (project / "docs" / "file").write_text("other")
    (project / "scripts" / "building" / "build.py").write_text("other")
    assert release_of(project, {"B": "2", "A": "1"}) == before
    assert len(before) == 16


@pytest.mark.parametrize("parameters", [{}, {"A": "2"}, {"A1": ""}, {"B": "1"}, {"A": "1", "B": ""}])
def test_other_parameters(project: Path, parameters: dict[str, str]) -> None:
    assert release_of(project, parameters) != release_of(project, {"A": "1"})


@pytest.mark.parametrize(
    "path", ["src/file", "infrastructure/file", "requirements/file", "src/new", "scripts/building/bytecode.py"]
)
def test_other_files(project: Path, path: str) -> None:
    before = release_of(project, {})
    (project / path).write_text("other")
    assert release_of(project, {}) != before


def test_a_moved_file(project: Path) -> None:
    before = release_of(project, {})
    (project / "src" / "file").rename(project / "src" / "file2")
    assert release_of(project, {}) != before
