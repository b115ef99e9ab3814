"""AWS SAM as the program it is: what it is told, and what is needed beside it."""

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scripts.building.artifacts import BUILDS, Artifacts, BuildError
from scripts.building.bytecode import compile_ahead
from scripts.building.swagger_ui import ensure_swagger_ui
from scripts.building.tools import missing_tools, runs, sam_environment
from scripts.deployment import terminal
from scripts.deployment.account import Account
from scripts.deployment.failure import DeploymentError
from scripts.deployment.options import Options
from scripts.deployment.parameters import overrides
from scripts.local import locks
from scripts.local.folder import PROJECT

BUILD = BUILDS / "build"
"""Where `sam build` puts what `sam deploy` takes."""

_CONFIG = PROJECT / "samconfig.toml"

_STDERR = 2
"""Stdout is kept for the API's address."""


def ensure_tools(document: Mapping[str, Any], *, in_container: bool) -> None:
    """Raises DeploymentError for a program that the build or the deployment needs and the PATH does not have."""
    if not shutil.which("sam"):
        raise DeploymentError(
            "AWS SAM (`sam`) is not on the PATH. scripts/deploy.sh brings it in .venv-deploy; if that folder is "
            "damaged, delete it and start again."
        )
    if in_container:
        _ensure_container_engine()
        return
    missing = missing_tools(document)
    if missing:
        raise DeploymentError(
            f"The build needs `{missing[0]}`, which is not on the PATH or does not start. Install it, or pass "
            "--use-container, which builds in AWS's image and needs Docker."
        )


@contextlib.contextmanager
def the_only_build() -> Iterator[None]:
    """Keeps a second deployment from replacing the build before this one has uploaded it. Raises DeploymentError."""
    BUILDS.mkdir(parents=True, exist_ok=True)
    lock = locks.acquire(BUILDS / "build.lock")
    if lock is None:
        raise DeploymentError(
            f"Another deployment builds in {BUILDS}: wait for it to end, or set K9_BUILD_DIR to another folder."
        )
    with contextlib.closing(lock):
        yield


@dataclass(frozen=True, slots=True)
class Sam:
    """sam for one environment. Raises DeploymentError where it fails; it has said why by then."""

    account: Account
    options: Options
    parameters: Mapping[str, str]

    def build(self) -> None:
        self._bring_swagger_ui()
        container = ["--use-container"] if self.options.use_container else []
        self._run("build", ["--build-dir", str(BUILD), *container], "Nothing was deployed.")
        self._compile(Artifacts(BUILD))

    def _bring_swagger_ui(self) -> None:
        try:
            ensure_swagger_ui()
        except BuildError as exc:
            raise DeploymentError(f"{exc}\nNothing was deployed.") from exc

    def _compile(self, artifacts: Artifacts) -> None:
        if not runs(artifacts.runtime):
            terminal.say(
                f"Without {artifacts.runtime} on this machine no bytecode is added: a cold start takes about three "
                "times as long."
            )
            return
        try:
            compile_ahead(artifacts)
        except BuildError as exc:
            raise DeploymentError(f"{exc}\nNothing was deployed.") from exc

    def deploy(self) -> None:
        execute = ["--no-execute-changeset"] if self.options.dry_run else []
        review = "--confirm-changeset" if self.options.needs_review else "--no-confirm-changeset"
        what_now = (
            "Nothing was changed."
            if self.options.dry_run
            else "What failed is in the events above, and CloudFormation takes all back. Correct it, start again."
        )
        built = ["--template-file", str(BUILD / "template.yaml")]
        self._run("deploy", [*self.account.options, *built, review, "--no-fail-on-empty-changeset", *execute], what_now)

    def _run(self, verb: str, arguments: Sequence[str], what_now: str) -> None:
        # Named, since sam looks for it beside the template otherwise.
        command = ["sam", verb, "--config-file", str(_CONFIG), "--config-env", self.options.environment, *arguments]
        command += ["--parameter-overrides", *overrides(self.parameters)]
        status = subprocess.run(command, cwd=PROJECT, env=sam_environment(), stdout=_STDERR, check=False).returncode
        if status:
            raise DeploymentError(f"`sam {verb}` failed with status {status}, see above. {what_now}")


def _ensure_container_engine() -> None:
    if not any(shutil.which(engine) for engine in ("docker", "finch", "podman")):
        raise DeploymentError("--use-container needs Docker (or Finch or Podman), which is not on the PATH.")
