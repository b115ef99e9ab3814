"""Which environments a start needs, from the command line or from the folder of the migration."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.migration import launching
from scripts.migration.sources.opening import _KINDS

ROOT = Path(launching.ROOT)


@pytest.mark.parametrize(
    ("arguments", "kinds"),
    [
        (["plan", "duckdb:k9.db", "--mapping", "x"], ["duckdb"]),
        (["json:a.json"], ["json"]),
        (["resume", "--work", "W"], ["postgresql"]),
        (["resume", "--work=W"], ["postgresql"]),
        (["resume", "--work", "W", "--bucket", "arn:aws:s3:::mine"], ["postgresql"]),
        (["verify"], [""]),
        (["verify", "--work"], [""]),
    ],
)
def test_the_kind_of_source_is_known_before_anything_is_installed(
    arguments: list[str], kinds: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "W").mkdir()
    (tmp_path / "W" / "command.json").write_text(json.dumps({"source": "postgresql:"}))
    assert launching.kinds(arguments) == kinds


def test_every_kind_of_source_is_known() -> None:
    assert frozenset(_KINDS) == launching.KINDS


def test_a_damaged_folder_needs_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".migration").mkdir()
    for content in ("{", "[]"):
        (tmp_path / ".migration" / "command.json").write_text(content)
        assert launching.kinds(["resume"]) == [""]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that a launch makes environments with, and the one that it becomes."""
    commands: list[list[str]] = []

    def call(command: list[str], **_: object) -> int:
        commands.append(command)
        return 0

    def execve(path: str, arguments: list[str], environment: dict[str, str]) -> None:
        commands.append([path, *arguments, environment["PYTHONPATH"]])

    monkeypatch.setattr(subprocess, "call", call)
    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(launching, "packages", lambda kind: f"/packages/{kind}")
    return commands


def test_an_extra_is_made_only_for_the_source_that_needs_it(started: list[list[str]]) -> None:
    launching.launch("scripts.migration.main", ["plan", "json:a.json"])
    launching.launch("scripts.migration.main", ["plan", "postgresql:"])
    plain, _, extra, become = started
    assert plain[4:] == [".venv-migrate", "migrate.txt"]
    assert extra[4:] == [".venv-migrate", "migrate.txt", ".venv-migrate-postgresql", "migrate-postgresql.txt"]
    assert become[-1] == os.pathsep.join([str(ROOT), str(ROOT / "src"), "/packages/postgresql"])
    assert become[3:6] == ["-m", "scripts.migration.main", "plan"]


def test_an_environment_that_cannot_be_made_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "call", lambda *arguments, **named: 7)
    with pytest.raises(SystemExit) as ended:
        launching.launch("scripts.migration.main", [])
    assert ended.value.code == 7


@pytest.mark.parametrize("kind", launching.EXTRAS)
def test_every_extra_has_its_lock_file(kind: str) -> None:
    assert (ROOT / "requirements" / f"migrate-{kind}.txt").is_file()


@pytest.mark.parametrize("script", ["migrate.py", "export.py"])
def test_the_scripts_start_on_any_python(script: str) -> None:
    """Nothing but the standard library is imported before the environment is there."""
    program = f"import runpy, sys; runpy.run_path('scripts/{script}'); print(*sys.modules)"
    finished = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "scripts.migration.launching" in finished.stdout
    assert not {"yaml", "pydantic", "botocore"} & set(finished.stdout.split())
