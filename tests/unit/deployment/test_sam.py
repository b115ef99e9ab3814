"""Which programs a build needs, by the template."""

from typing import Any

import pytest

from scripts.deployment.failure import DeploymentError
from scripts.deployment.parameters import overrides
from scripts.deployment.sam import ensure_tools
from tests.unit.deployment.fakes import Programs

FUNCTION: dict[str, Any] = {"Type": "AWS::Serverless::Function", "Properties": {}}


def template(**bodies: dict[str, Any]) -> dict[str, Any]:
    return {"Globals": {"Function": {"Runtime": "python3.13"}}, "Resources": bodies}


@pytest.mark.parametrize(
    ("body", "tool"),
    [
        (FUNCTION, "python3.13"),
        ({**FUNCTION, "Metadata": {"BuildMethod": "makefile"}}, "make"),
        ({"Type": "AWS::Serverless::LayerVersion", "Metadata": {"BuildMethod": "makefile"}}, "make"),
        ({"Type": "AWS::Serverless::LayerVersion", "Metadata": {"BuildMethod": "python3.13"}}, "python3.13"),
    ],
)
def test_a_tool_that_is_needed(programs: Programs, body: dict[str, Any], tool: str) -> None:
    ensure_tools(template(X=body), in_container=False)
    programs.add(tool, "#!/bin/sh\nexit 127\n")  # a shim with nothing behind it
    with pytest.raises(DeploymentError, match=f"needs `{tool}`"):
        ensure_tools(template(X=body), in_container=False)


@pytest.mark.parametrize(
    "body",
    [
        {**FUNCTION, "Metadata": {"SkipBuild": True}},
        {"Type": "AWS::Serverless::LayerVersion"},
        {"Type": "AWS::DynamoDB::Table"},
    ],
)
def test_what_is_not_built_needs_none(programs: Programs, body: dict[str, Any]) -> None:
    programs.remove("python3.13")
    ensure_tools(template(X=body), in_container=False)


def test_a_container_engine(programs: Programs, monkeypatch: pytest.MonkeyPatch) -> None:
    ensure_tools(template(X=FUNCTION), in_container=True)
    programs.remove("docker")
    monkeypatch.setenv("PATH", str(programs.folder))
    with pytest.raises(DeploymentError, match="needs Docker"):
        ensure_tools(template(X=FUNCTION), in_container=True)


def test_overrides_are_in_order_and_one_each() -> None:
    assert overrides({"B": "1,2", "A": "*"}) == ["A=*", "B=1,2"]
