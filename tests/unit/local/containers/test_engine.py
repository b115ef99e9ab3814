"""Which container engine is taken, at what address its containers find this machine, and what is said without one."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from scripts.local.containers import engine
from scripts.local.containers.engine import engine_variables, find_engine
from scripts.local.failure import LocalStackError

DOCKER = {
    "system": "Ubuntu 24.04 LTS",
    "architecture": "x86_64",
    "security": ["name=apparmor", "name=seccomp,profile=builtin"],
    "gateway": "172.17.0.1",
    "images": ["public.ecr.aws/lambda/python:3.13-x86_64", "other:latest"],
}


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the probe tells; a test may change it."""
    report = dict(DOCKER)
    probe = tmp_path / "probe.py"
    monkeypatch.setattr(engine, "_PYTHON", Path(sys.executable))
    monkeypatch.setattr(engine, "_PROBE", probe)

    def write(**changes: Any) -> None:
        report.update(changes)
        probe.write_text(f"print({json.dumps(json.dumps(report))})", encoding="utf-8")

    write()
    return {"tell": write, "probe": probe}


def test_docker_is_found_at_its_gateway(told: dict[str, Any]) -> None:
    found = find_engine()
    assert (found.architecture, found.gateway, found.host) == ("x86_64", "172.17.0.1", "172.17.0.1")


def test_a_desktop_engine_has_a_name_for_the_machine(told: dict[str, Any]) -> None:
    told["tell"](system="Docker Desktop", architecture="aarch64")
    found = find_engine()
    assert (found.architecture, found.gateway, found.host) == ("arm64", None, "host.docker.internal")


def test_lambdas_image_may_be_there_already(told: dict[str, Any]) -> None:
    assert find_engine().has_image("python3.13")
    assert not find_engine().has_image("python3.14")
    told["tell"](architecture="arm64")
    assert not find_engine().has_image("python3.13")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"security": ["name=seccomp,profile=default", "name=rootless"]}, "runs without root"),
        ({"gateway": None}, "has no gateway"),
    ],
)
def test_an_engine_that_will_not_do(told: dict[str, Any], changes: dict[str, Any], said: str) -> None:
    told["tell"](**changes)
    with pytest.raises(LocalStackError, match=said):
        find_engine()


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        ("import sys; sys.exit('DockerException: no such file')", "DockerException: no such file"),
        ("raise SystemExit(1)", "it ended without a word"),
    ],
)
def test_without_an_engine_it_says_what_to_install(told: dict[str, Any], probe: str, reason: str) -> None:
    told["probe"].write_text(probe, encoding="utf-8")
    with pytest.raises(LocalStackError) as refused:
        find_engine()
    assert f"No container engine answers ({reason})" in str(refused.value)
    assert "Install Docker" in str(refused.value)
    assert "Without --sam no container is needed" in str(refused.value)


def test_without_the_environment_of_sam_it_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(engine, "_PYTHON", tmp_path / "none")
    with pytest.raises(LocalStackError, match=r"is missing\. Run \./scripts/dev\.sh --sam"):
        find_engine()


def test_nothing_of_the_shell_reaches_a_function() -> None:
    """sam would prefer it to what the template states."""
    seen = engine_variables(
        {
            "PATH": "/bin",
            "DOCKER_HOST": "unix:///x",
            "ENVIRONMENT": "prod",
            "DYNAMODB_USERS_TABLE": "k9-users-prod",
            "AWS_PROFILE": "prod",
        }
    )
    assert seen == {"PATH": "/bin", "DOCKER_HOST": "unix:///x"}
