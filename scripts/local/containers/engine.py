"""The container engine on this machine, and at which address its containers find this machine."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.building.artifacts import Architecture
from scripts.local.failure import LocalStackError
from scripts.local.folder import PROJECT

DESKTOP_HOST = "host.docker.internal"
"""What containers of a desktop engine, which run in a virtual machine, call the machine around it."""

_PYTHON = PROJECT / ".venv-deploy" / "bin" / "python"
_PROBE = Path(__file__).with_name("probe.py")
_ARM = ("arm64", "aarch64")
_HOW_TO_HAVE_ONE = (
    "--sam runs each function in a container. Install Docker (https://docs.docker.com/engine/install/) and start it, "
    "or start Podman (`systemctl start podman.socket`) and set DOCKER_HOST=unix:///run/podman/podman.sock. "
    "Without --sam no container is needed."
)


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers. `gateway` is this machine on the engine's network; None for a desktop engine."""

    architecture: Architecture
    gateway: str | None
    images: frozenset[str]

    @property
    def host(self) -> str:
        """This machine's name for a container."""
        return self.gateway or DESKTOP_HOST

    def has_image(self, runtime: str) -> bool:
        """Whether Lambda's image of that runtime is here already, such as that of `python3.13`."""
        version = runtime.removeprefix("python")
        return f"public.ecr.aws/lambda/python:{version}-{self.architecture}" in self.images


def find_engine() -> Engine:
    """Raises LocalStackError where none answers, or none whose containers could reach this machine."""
    try:
        told = subprocess.run([_PYTHON, _PROBE], env=engine_variables(), capture_output=True, text=True, check=False)
    except FileNotFoundError as exc:
        raise LocalStackError(f"{_PYTHON} is missing. Run ./scripts/dev.sh --sam, which installs it.") from exc
    if told.returncode:
        reason = told.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise LocalStackError(f"No container engine answers ({reason[0]}).\n{_HOW_TO_HAVE_ONE}")
    return _engine(json.loads(told.stdout))


def engine_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What docker's and sam's programs need of the environment, and nothing that sam would hand to functions.

    sam takes a function's variables from its own environment where that has them.
    """
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK")
    return {name: value for name, value in environ.items() if name in kept or name.startswith("DOCKER_")}


def _engine(report: Mapping[str, Any]) -> Engine:
    if _is_rootless(report["security"]):
        raise LocalStackError(
            "The container engine runs without root, in a network of its own, whose containers cannot reach the store "
            "on this machine's loopback address. --sam needs Docker as root, or Docker Desktop."
        )
    is_desktop = "desktop" in report["system"].lower()
    if not is_desktop and not report["gateway"]:
        raise LocalStackError("The container engine's network `bridge` has no gateway, so --sam cannot be reached.")
    return Engine(
        architecture="arm64" if report["architecture"].lower() in _ARM else "x86_64",
        gateway=None if is_desktop else str(report["gateway"]),
        images=frozenset(report["images"]),
    )


def _is_rootless(security: Sequence[str]) -> bool:
    return any("rootless" in option for option in security)
