"""Swagger UI is taken once, as it is pinned, and never in part."""

import gzip
import hashlib
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from scripts.building import swagger_ui
from scripts.building.artifacts import BuildError
from scripts.building.swagger_ui import ensure_swagger_ui
from scripts.local import locks

CONTENT = {"swagger-ui-bundle.js": b"code", "swagger-ui.css": b"style", "LICENSE": b"terms"}
PLACE = "drf_spectacular_sidecar/static/drf_spectacular_sidecar/swagger-ui-dist/"


class Pip:
    """Puts a wheel where pip would have, or says no."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.content = dict(CONTENT)
        self.status = 0

    def run(self, command: Sequence[str], **options: Any) -> CompletedProcess[str]:
        self.commands.append(list(command))
        if self.status:
            return CompletedProcess(command, self.status, "", "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES")
        folder = Path(command[command.index("--dest") + 1])
        folder.mkdir()
        with zipfile.ZipFile(folder / "sidecar-1-py3-none-any.whl", "w") as wheel:
            for name, content in {**self.content, "other.js": b"other"}.items():
                wheel.writestr(PLACE + name, content)
        return CompletedProcess(command, 0, "", "")


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    made = Pip()
    (tmp_path / "layer").mkdir()
    (tmp_path / "page.txt").write_text("sidecar==1 --hash=sha256:00\n")
    monkeypatch.setattr("subprocess.run", made.run)
    monkeypatch.setattr(swagger_ui, "LAYER", tmp_path / "layer")
    monkeypatch.setattr(swagger_ui, "REQUIREMENTS", tmp_path / "page.txt")
    monkeypatch.setattr(swagger_ui, "BUILDS", tmp_path / "builds")
    return made


def files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (swagger_ui.LAYER / "swagger_ui").iterdir()}


def test_the_files_are_there_under_names_with_digests(pip: Pip) -> None:
    assert ensure_swagger_ui() == swagger_ui.LAYER
    code, style, terms = (hashlib.sha256(content).hexdigest()[:16] for content in CONTENT.values())
    found = files()
    assert found.keys() == {
        "__init__.py",
        "origin.txt",
        f"swagger-ui-bundle-{code}.js.gz",
        f"swagger-ui-{style}.css.gz",
        f"swagger-ui-licence-{terms}.txt.gz",
    }
    assert gzip.decompress(found[f"swagger-ui-{style}.css.gz"]) == b"style"


def test_pip_takes_the_pinned_wheel_alone(pip: Pip) -> None:
    ensure_swagger_ui()
    (command,) = pip.commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(command)
    assert command[command.index("--requirement") + 1] == str(swagger_ui.REQUIREMENTS)


def test_a_second_time_needs_no_network(pip: Pip) -> None:
    ensure_swagger_ui()
    before = files()
    pip.status = 1
    assert ensure_swagger_ui() == swagger_ui.LAYER
    assert files() == before
    assert len(pip.commands) == 1


def test_another_pin_replaces_all_of_it_and_the_same_gives_the_same(pip: Pip) -> None:
    ensure_swagger_ui()
    first = files()
    pip.content["swagger-ui-bundle.js"] = b"newer code"
    swagger_ui.REQUIREMENTS.write_text("sidecar==2 --hash=sha256:11\n")
    ensure_swagger_ui()
    assert len(files()) == len(first)
    assert files().keys() != first.keys()
    pip.content = dict(CONTENT)
    swagger_ui.REQUIREMENTS.write_text("sidecar==1 --hash=sha256:00\n")
    ensure_swagger_ui()
    assert files() == first


def test_what_pip_refuses_is_said_and_nothing_is_left(pip: Pip) -> None:
    pip.status = 1
    with pytest.raises(BuildError, match=r"could not be fetched \(page.txt\):\nERROR: THESE PACKAGES DO NOT MATCH"):
        ensure_swagger_ui()
    assert list(swagger_ui.LAYER.iterdir()) == []


def test_a_wheel_without_a_file_is_refused_and_leaves_what_was_there(pip: Pip) -> None:
    ensure_swagger_ui()
    before = files()
    del pip.content["LICENSE"]
    swagger_ui.REQUIREMENTS.write_text("sidecar==2 --hash=sha256:11\n")
    with pytest.raises(BuildError, match="has no LICENSE"):
        ensure_swagger_ui()
    assert files() == before


def test_another_process_is_waited_for(pip: Pip, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(swagger_ui, "_PATIENCE_SECONDS", 0)
    builds = swagger_ui.LAYER.parent / "builds"
    builds.mkdir()
    lock = locks.acquire(builds / "swagger-ui.lock")
    assert lock is not None
    with pytest.raises(BuildError, match="Another process has been fetching"):
        ensure_swagger_ui()
    lock.close()
    assert ensure_swagger_ui() == swagger_ui.LAYER
