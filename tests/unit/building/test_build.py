"""A build is made when something has changed, and never taken for whole when it was not."""

import sys
from pathlib import Path

import pytest

from scripts.building import build
from scripts.building.artifacts import Artifacts, BuildError, machine_architecture
from scripts.building.build import built
from scripts.local import locks

SAM = """#!{python}
import json, pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--build-dir") + 1])
with open({calls!r}, "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + chr(10))
print("what sam says")
{fault}
folder.mkdir()
(folder / "template.yaml").write_text({template!r})
"""
TEMPLATE = """
Globals: { Function: { Runtime: python3.13, Layers: [!Ref Base] } }
Resources:
  Base: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: Base } }
  Extra: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: Extra } }
  Light: { Type: AWS::Serverless::Function, Properties: { Handler: a.handler, CodeUri: Light } }
  Heavy: { Type: AWS::Serverless::Function, Properties: { Handler: b.handler, CodeUri: Heavy, Layers: [!Ref Extra] } }
"""


class Project:
    """A source to build, and a sam that records what it is told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls_file = folder / "calls"
        (folder / "src").mkdir()
        self.change("first")
        self.sam("")
        self.compiled: list[Artifacts] = []
        self.has_python = True

    def change(self, text: str) -> None:
        (self.folder / "src" / "code.py").write_text(text)

    def sam(self, fault: str) -> None:
        text = SAM.format(python=sys.executable, calls=str(self.calls_file), fault=fault, template=TEMPLATE)
        program = self.folder / "sam"
        program.write_text(text)
        program.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path)
    monkeypatch.setattr(build, "PROJECT", tmp_path)
    monkeypatch.setattr(build, "SAM", tmp_path / "sam")
    monkeypatch.setattr(build, "BUILDS", tmp_path / ".aws-sam")
    monkeypatch.setattr(build, "missing_tools", lambda document: [])
    monkeypatch.setattr(build, "compile_ahead", made.compiled.append)
    monkeypatch.setattr(build, "runs", lambda tool: made.has_python)
    return made


def test_what_comes_out_for_each_function(project: Project) -> None:
    light, heavy = built("arm64").functions()
    folder = project.folder / ".aws-sam" / "arm64"
    assert (light.function, light.handler, light.code) == ("Light", "a.handler", folder / "Light")
    assert light.path == [folder / "Light", folder / "Base" / "python"]
    assert heavy.path == [folder / "Heavy", folder / "Base" / "python", folder / "Extra" / "python"]


def test_an_unchanged_source_is_built_once(project: Project) -> None:
    assert built("x86_64") == built("x86_64")
    assert len(project.calls) == len(project.compiled) == 1
    assert '"Architecture=x86_64"' in project.calls[0]
    built("arm64")
    assert '"Architecture=arm64"' in project.calls[1]
    project.change("second")
    built("x86_64")
    assert len(project.calls) == 3


def test_a_build_that_failed_says_why_and_is_repeated(project: Project) -> None:
    project.sam("sys.exit(3)")
    for _ in range(2):
        with pytest.raises(BuildError, match=r"failed with status 3(.|\n)*what sam says"):
            built("x86_64")
    project.sam("")
    built("x86_64")
    assert len(project.calls) == 3


def test_a_build_that_was_cut_off_is_repeated(project: Project) -> None:
    built("x86_64")
    (project.folder / ".aws-sam" / "x86_64" / ".release").unlink()
    built("x86_64")
    assert len(project.calls) == 2


def test_a_container_is_used_where_it_is_asked_for(project: Project) -> None:
    built("x86_64", in_container=True)
    assert '"--use-container"' in project.calls[0]


def test_without_the_runtimes_python_there_is_no_bytecode_until_it_is_there(project: Project) -> None:
    project.has_python = False
    built("x86_64", in_container=True)
    assert project.compiled == []
    project.has_python = True
    assert [built("x86_64")] == project.compiled
    assert len(project.calls) == 2


def test_what_the_build_needs_is_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "missing_tools", lambda document: ["make", "python3.13"])
    with pytest.raises(BuildError, match=r"needs make and python3\.13 on the PATH"):
        built("x86_64")
    assert project.calls == []
    built("x86_64", in_container=True)


def test_without_sam_it_says_what_installs_it(project: Project) -> None:
    (project.folder / "sam").unlink()
    with pytest.raises(BuildError, match=r"sam is missing: `\./scripts/deploy\.sh --help` installs it"):
        built("x86_64")


def test_another_build_is_waited_for(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_PATIENCE_SECONDS", 0.1)
    (project.folder / ".aws-sam").mkdir()
    lock = locks.acquire(project.folder / ".aws-sam" / "x86_64.lock")
    assert lock is not None
    with pytest.raises(BuildError, match="Another build for x86_64"):
        built("x86_64")
    lock.close()
    built("x86_64")


@pytest.mark.parametrize(
    ("machine", "architecture"), [("x86_64", "x86_64"), ("AMD64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64")]
)
def test_the_machines_own_processor(machine: str, architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert machine_architecture() == architecture
