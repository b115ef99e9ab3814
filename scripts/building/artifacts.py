"""What SAM has built of infrastructure/template.yaml, function by function."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.local.folder import PROJECT
from scripts.local.template import Template

Architecture = Literal["x86_64", "arm64"]

BUILDS = Path(os.environ.get("K9_BUILD_DIR") or PROJECT / ".aws-sam").absolute()
"""Where builds are kept."""

_ARM = ("arm64", "aarch64")


class BuildError(Exception):
    """Nothing came out. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One function: its code root, and its layers as they are unpacked into /opt."""

    function: str
    handler: str
    code: Path
    layers: tuple[Path, ...]

    @property
    def path(self) -> list[Path]:
        """Where Lambda's Python looks for modules, its own library aside: the code, then the layers."""
        return [self.code, *(layer / "python" for layer in self.layers)]


@dataclass(frozen=True, slots=True)
class Artifacts:
    """A finished build."""

    folder: Path

    @property
    def template(self) -> Template:
        """The template with the paths of what was built."""
        return Template.load(self.folder / "template.yaml")

    @property
    def runtime(self) -> str:
        """Lambda's name of it, which is that of its interpreter as well, such as `python3.13`."""
        return runtime_of(self.template)

    def functions(self) -> list[Artifact]:
        template = self.template
        shared = template.document["Globals"]["Function"].get("Layers", [])
        layers = {
            name: self.folder / str(body["Properties"]["ContentUri"])
            for name, body in template.resources("AWS::Serverless::LayerVersion").items()
        }
        return [
            Artifact(
                name,
                str(body["Properties"]["Handler"]),
                self.folder / str(body["Properties"]["CodeUri"]),
                tuple(layers[layer["Ref"]] for layer in [*shared, *body["Properties"].get("Layers", [])]),
            )
            for name, body in template.resources("AWS::Serverless::Function").items()
        ]


def runtime_of(template: Template) -> str:
    return str(template.document["Globals"]["Function"]["Runtime"])


def machine_architecture() -> Architecture:
    """That of this machine's processor."""
    return architecture_of(platform.machine())


def architecture_of(machine: str) -> Architecture:
    """Lambda's name of a processor that a system calls `machine`."""
    return "arm64" if machine.lower() in _ARM else "x86_64"
