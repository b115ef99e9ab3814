"""A build of infrastructure/template.yaml for one kind of processor, and what came out for each function.

for artifact in built("x86_64").functions():
    print(artifact.handler, artifact.code, artifact.layers)
"""

import platform
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.building.release import release_of
from scripts.building.tools import missing_tools, sam_environment
from scripts.local import locks
from scripts.local.folder import PROJECT
from scripts.local.template import DEFAULT_PATH, Template

Architecture = Literal["x86_64", "arm64"]

SAM = PROJECT / ".venv-deploy" / "bin" / "sam"

_BUILDS = PROJECT / ".aws-sam"
_STAMP = ".release"
_PATIENCE_SECONDS = 300
_ARM = ("arm64", "aarch64")
_LAST_LINES = 15


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


def built(architecture: Architecture, *, in_container: bool = False) -> Artifacts:
    """The artifacts of the project as it is: those of an earlier build where nothing has changed since.

    A build takes some 20 s; another process that asks meanwhile waits for it. Raises BuildError.
    """
    _BUILDS.mkdir(exist_ok=True)
    lock = locks.acquire(_BUILDS / f"{architecture}.lock", patience=_PATIENCE_SECONDS)
    if lock is None:
        raise BuildError(f"Another build for {architecture} has been under way for {_PATIENCE_SECONDS} s. End it.")
    try:
        folder, release = _BUILDS / architecture, release_of(PROJECT, {"Architecture": architecture})
        if not _is_of(folder, release):
            shutil.rmtree(folder, ignore_errors=True)
            _build(folder, architecture, in_container=in_container)
            (folder / _STAMP).write_text(release, encoding="utf-8")
        return Artifacts(folder)
    finally:
        lock.close()


def machine_architecture() -> Architecture:
    """That of this machine's processor."""
    return "arm64" if platform.machine().lower() in _ARM else "x86_64"


def _is_of(folder: Path, release: str) -> bool:
    """The stamp is written last, so that a build that was interrupted is not taken for one."""
    stamp = folder / _STAMP
    return stamp.exists() and stamp.read_text(encoding="utf-8") == release


def _build(folder: Path, architecture: Architecture, *, in_container: bool) -> None:
    lacking = [] if in_container else missing_tools(Template.load().document)
    if lacking:
        raise BuildError(f"The build needs {' and '.join(lacking)} on the PATH, and does not find it. Install it.")
    parameters = [f"Architecture={architecture}", "Environment=dev", "AllowedOrigins=*"]
    where = ["--template-file", str(DEFAULT_PATH), "--build-dir", str(folder)]
    how = ["--parallel", *(["--use-container"] if in_container else [])]
    _run([str(SAM), "build", *where, *how, "--parameter-overrides", *parameters], folder.with_suffix(".log"))


def _run(command: Sequence[str], log: Path) -> None:
    try:
        with log.open("wb") as output:
            done = subprocess.run(
                command, cwd=PROJECT, env=sam_environment(), stdout=output, stderr=subprocess.STDOUT, check=False
            )
    except FileNotFoundError as exc:
        raise BuildError(f"{SAM} is missing: `./scripts/deploy.sh --help` installs it.") from exc
    if done.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LAST_LINES:]
        raise BuildError("\n".join([f"`sam build` failed with status {done.returncode}. The end of {log}:", *said]))
