"""No AWS, no sam: what is asked of them is recorded."""

import sys
from pathlib import Path

import pytest

from scripts.deployment import sam
from tests.unit.deployment.fakes import Aws, Programs


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    return Aws(monkeypatch)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Programs that record, alone on the PATH but for the system's own tools."""
    made = Programs(tmp_path / "programs", sys.executable)
    monkeypatch.setattr(sam, "compile_ahead", made.compiled.append)
    monkeypatch.setattr(sam, "BUILDS", made.builds)
    monkeypatch.setattr(sam, "BUILD", made.build)
    (made.build / "template.yaml").write_text("Globals: { Function: { Runtime: python3.13 } }", encoding="utf-8")
    monkeypatch.setenv("PATH", f"{made.folder}:/usr/bin:/bin")
    return made
