"""What `sam local` is given of a build."""

import errno
import json
from pathlib import Path

import pytest

from scripts.building.artifacts import Artifacts
from scripts.local.containers.local_template import write_local_template

BUILT = """
Globals:
  Function:
    Runtime: python3.13
    Architectures: [!Ref Architecture]
    CodeUri: unused
    Layers: [!Ref DependenciesLayer]
    Environment: { Variables: { USERS: !Ref UsersTable } }
Rules: { R: {} }
Outputs: { Url: { Value: !Ref HttpApi } }
Resources:
  UsersTable: { Type: AWS::DynamoDB::Table, Properties: {} }
  HttpApi: { Type: AWS::Serverless::HttpApi, Properties: { CorsConfiguration: { AllowMethods: [GET] } } }
  DependenciesLayer: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: DependenciesLayer } }
  NumericsLayer: { Type: AWS::Serverless::LayerVersion, Properties: { ContentUri: NumericsLayer } }
  Light:
    Type: AWS::Serverless::Function
    Properties: { Handler: a.handler, CodeUri: Light, Role: !GetAtt Role.Arn, Events: { Route: { Type: HttpApi } } }
  Other: { Type: AWS::Serverless::Function, Properties: { Handler: b.handler, CodeUri: Other } }
  Search:
    Type: AWS::Serverless::Function
    Properties:
      Handler: c.handler
      CodeUri: Search
      MemorySize: 1769
      Layers: [!Ref NumericsLayer]
      Environment: { Variables: { MEGABYTES: "9", LOGIN: !If [Made, !Ref UsersTable, !Ref Given] } }
"""


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    folder = tmp_path / "x86_64"
    for function in ("Light", "Other", "Search"):
        (folder / function / "handlers").mkdir(parents=True)
        (folder / function / "handlers" / "a.py").write_text("code")
    for layer, package in (("DependenciesLayer", "jose"), ("NumericsLayer", "numpy")):
        (folder / layer / "python" / package).mkdir(parents=True)
        (folder / layer / "python" / package / "__init__.py").write_text(package)
        (folder / layer / "python" / "requirements.txt").write_text(package)
    (folder / "template.yaml").write_text(BUILT)
    return Artifacts(folder)


def test_functions_have_their_variables_and_their_layers_beside_the_code(artifacts: Artifacts, tmp_path: Path) -> None:
    path = write_local_template(artifacts, "x86_64", tmp_path / "local", {"A": "1"})
    document = json.loads(path.read_text())
    shared = document["Globals"]["Function"]
    assert shared["Environment"] == {"Variables": {"A": "1"}}
    assert (shared["Layers"], shared["Architectures"]) == ([], ["x86_64"])
    roots = {name: Path(body["Properties"].get("CodeUri", "")) for name, body in document["Resources"].items()}
    assert roots["Light"] == roots["Other"]
    assert {entry.name for entry in roots["Light"].iterdir()} == {"handlers", "jose", "requirements.txt"}
    assert {entry.name for entry in roots["Search"].iterdir()} == {"handlers", "jose", "numpy", "requirements.txt"}


def test_nothing_is_left_that_refers_to_what_does_not_run_here(artifacts: Artifacts, tmp_path: Path) -> None:
    document = json.loads(write_local_template(artifacts, "x86_64", tmp_path / "local", {}).read_text())
    assert sorted(document["Resources"]) == ["HttpApi", "Light", "Other", "Search"]
    assert "Role" not in document["Resources"]["Light"]["Properties"]
    assert "Layers" not in document["Resources"]["Search"]["Properties"]
    assert document["Resources"]["Search"]["Properties"]["MemorySize"] == 1769
    assert document["Resources"]["Search"]["Properties"]["Environment"] == {"Variables": {"MEGABYTES": "9"}}
    assert (document["Outputs"], document["Rules"]) == ({}, {})


def test_it_is_made_anew_each_time(artifacts: Artifacts, tmp_path: Path) -> None:
    """And the artifacts stay as they are, although their files are shared."""
    folder = tmp_path / "local"
    write_local_template(artifacts, "x86_64", folder, {})
    (folder / "stray").touch()
    write_local_template(artifacts, "x86_64", folder, {})
    assert not (folder / "stray").exists()
    assert (artifacts.folder / "NumericsLayer" / "python" / "requirements.txt").read_text() == "numpy"
    assert (artifacts.folder / "DependenciesLayer" / "python" / "requirements.txt").read_text() == "jose"


def test_another_file_system_takes_copies(
    artifacts: Artifacts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: str, target: str) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr("os.link", refuse)
    write_local_template(artifacts, "x86_64", tmp_path / "local", {})
    copied = next((tmp_path / "local").rglob("numpy/__init__.py"))
    assert (copied.read_text(), copied.stat().st_nlink) == ("numpy", 1)
