"""Which container engine is taken, at what address its containers find this machine, and what is said without one."""

import json
import os
import sys
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest

from scripts.local.containers import engine
from scripts.local.containers.engine import Bridge, engine_variables, find_engine
from scripts.local.failure import LocalStackError

DOCKER = {
    "system": "Ubuntu 24.04 LTS",
    "architecture": "x86_64",
    "security": ["name=apparmor", "name=seccomp,profile=builtin"],
    "networks": [{"Subnet": "fd00::/64", "Gateway": "fd00::1"}, {"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}],
    "images": ["public.ecr.aws/lambda/python:3.13-x86_64", "other:latest"],
}


BRIDGE = Bridge(IPv4Address("172.17.0.1"), IPv4Network("172.17.0.0/16"))


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the probe tells; a test may change it."""
    report = dict(DOCKER)
    probe = tmp_path / "probe.py"
    monkeypatch.setattr(engine, "_PYTHON", Path(sys.executable))
    monkeypatch.setattr(engine, "_PROBE", probe)
    monkeypatch.delenv("DOCKER_HOST", raising=False)

    def write(**changes: Any) -> None:
        report.update(changes)
        probe.write_text(f"print({json.dumps(json.dumps(report))})", encoding="utf-8")

    write()
    return {"tell": write, "probe": probe}


def test_docker_is_found_at_its_gateway(told: dict[str, Any]) -> None:
    found = find_engine()
    assert (found.architecture, found.bridge) == ("x86_64", BRIDGE)


def test_a_desktop_engine_has_a_name_for_the_machine(told: dict[str, Any]) -> None:
    told["tell"](system="Docker Desktop", architecture="aarch64")
    found = find_engine()
    assert (found.architecture, found.bridge) == ("arm64", None)


def test_engines_run_in_a_virtual_machine_but_on_linux(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Colima, OrbStack and Podman do not call themselves desktop engines."""
    monkeypatch.setattr("sys.platform", "darwin")
    assert find_engine().bridge is None


def test_lambdas_image_is_fetched_where_it_is_not_here(told: dict[str, Any], tmp_path: Path) -> None:
    found = find_engine()
    fetched = tmp_path / "fetched"
    told["probe"].write_text(f"import sys; open({str(fetched)!r}, 'a').write(' '.join(sys.argv[1:]))", encoding="utf-8")
    found.ensure_image("python3.13")
    assert not fetched.exists()
    found.ensure_image("python3.14")
    assert fetched.read_text() == "pull public.ecr.aws/lambda/python:3.14-x86_64"


def test_an_image_that_cannot_be_had_is_named(told: dict[str, Any]) -> None:
    found = find_engine()
    told["probe"].write_text("import sys; sys.exit('no such host')", encoding="utf-8")
    with pytest.raises(LocalStackError, match=r"lambda/python:3\.14-x86_64 cannot be had \(no such host\)"):
        found.ensure_image("python3.14")


@pytest.mark.parametrize("host", ["ssh://me@build", "tcp://10.0.0.9:2376"])
def test_an_engine_on_another_machine_is_refused(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(LocalStackError, match="would run on another machine"):
        find_engine()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"security": ["name=seccomp,profile=default", "name=rootless"]}, "runs without root"),
        ({"networks": []}, "has no IPv4 gateway"),
        ({"networks": [{"Subnet": "172.17.0.0/16"}]}, "has no IPv4 gateway"),
        ({"networks": [{"Subnet": "fd00::/64", "Gateway": "fd00::1"}]}, "has no IPv4 gateway"),
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


def test_without_the_environment_of_sam_it_says_how_to_have_it(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine, "_PYTHON", tmp_path / "none")
    with pytest.raises(LocalStackError, match=r"is missing\. Run \./scripts/dev\.sh --sam"):
        find_engine()


def test_nothing_of_the_shell_reaches_a_function() -> None:
    """sam would prefer it to what the template states, and hand credentials on."""
    seen = engine_variables(
        {
            "PATH": "/bin",
            "DOCKER_HOST": "unix:///x",
            "ENVIRONMENT": "prod",
            "DYNAMODB_USERS_TABLE": "k9-users-prod",
            "AWS_PROFILE": "prod",
        }
    )
    assert seen == {
        "PATH": "/bin",
        "DOCKER_HOST": "unix:///x",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
