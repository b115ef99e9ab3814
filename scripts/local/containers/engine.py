"""The container engine on this machine, and at which address its containers find this machine."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network
from pathlib import Path
from typing import Any

from scripts.building.artifacts import Architecture, architecture_of
from scripts.local import console
from scripts.local.failure import LocalStackError
from scripts.local.folder import PROJECT

DESKTOP_HOST = "host.docker.internal"
"""What containers that run in a virtual machine call the machine around it."""

_PYTHON = PROJECT / ".venv-deploy" / "bin" / "python"
_PROBE = Path(__file__).with_name("probe.py")
_HOW_TO_HAVE_ONE = (
    "--sam runs each function in a container. Install Docker (https://docs.docker.com/engine/install/) and start it,\n"
    "or start Podman (`systemctl start podman.socket`) and set DOCKER_HOST=unix:///run/podman/podman.sock.\n"
    "Without --sam no container is needed."
)


@dataclass(frozen=True, slots=True)
class Bridge:
    """The network of the containers, on which this machine has the address of the gateway."""

    gateway: IPv4Address
    network: IPv4Network


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers. `bridge` is None where its containers run in a virtual machine."""

    architecture: Architecture
    bridge: Bridge | None
    images: frozenset[str]

    def ensure_image(self, runtime: str) -> None:
        """Fetches Lambda's image of that runtime, unless it is here. Raises LocalStackError."""
        image = f"public.ecr.aws/lambda/python:{runtime.removeprefix('python')}-{self.architecture}"
        if image not in self.images:
            console.say(f"Fetching {image} ...")
            _ask("pull", image, failing=f"The image {image} cannot be had")


def find_engine() -> Engine:
    """Raises LocalStackError where none answers, or none whose containers could reach this machine."""
    host = os.environ.get("DOCKER_HOST", "")
    if host and not host.startswith(("unix://", "npipe://")):
        raise LocalStackError(
            f"DOCKER_HOST is {host}: the containers would run on another machine, which has neither the artifacts nor "
            "the store. --sam needs an engine on this one."
        )
    told = _ask(failing="No container engine answers", advice=f"\n{_HOW_TO_HAVE_ONE}")
    return _engine(json.loads(told))


def engine_variables(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """What docker's and sam's programs need of the environment, and nothing that sam would hand to functions.

    sam takes a function's variables from its own environment where that has them, and hands its own credentials on.
    """
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "XDG_RUNTIME_DIR")
    needed = {name: value for name, value in environ.items() if name in kept or name.startswith("DOCKER_")}
    return {
        **needed,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _ask(*arguments: str, failing: str, advice: str = "") -> str:
    command = [str(_PYTHON), str(_PROBE), *arguments]
    try:
        told = subprocess.run(command, env=engine_variables(), capture_output=True, text=True, check=False)
    except FileNotFoundError as exc:
        raise LocalStackError(f"{_PYTHON} is missing. Run ./scripts/dev.sh --sam, which installs it.") from exc
    if told.returncode:
        reason = told.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise LocalStackError(f"{failing} ({reason[0]}).{advice}")
    return told.stdout


def _engine(report: Mapping[str, Any]) -> Engine:
    if _is_rootless(report["security"]):
        raise LocalStackError(
            "The container engine runs without root, in a network of its own, whose containers cannot reach the store "
            "on this machine's loopback address. --sam needs Docker as root, or Docker Desktop."
        )
    in_machine = sys.platform != "linux" or "desktop" in report["system"].lower()
    return Engine(
        architecture=architecture_of(report["architecture"]),
        bridge=None if in_machine else _bridge(report["networks"]),
        images=frozenset(report["images"]),
    )


def _is_rootless(security: Sequence[str]) -> bool:
    return any("rootless" in option for option in security)


def _bridge(networks: Sequence[Mapping[str, str]]) -> Bridge:
    for stated in networks:
        network = ip_network(stated["Subnet"])
        if isinstance(network, IPv4Network) and stated.get("Gateway"):
            return Bridge(IPv4Address(stated["Gateway"]), network)
    raise LocalStackError("The container engine's network `bridge` has no IPv4 gateway, where its containers find us.")
