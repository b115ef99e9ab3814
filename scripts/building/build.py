"""A build of the project for one kind of processor, kept until what it is made of changes.

    for artifact in built("x86_64").functions():
        print(artifact.handler, artifact.code, artifact.layers)

It stays on this machine; scripts/deploy.sh makes and uploads its own.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from scripts.building.artifacts import BUILDS, Architecture, Artifacts, BuildError, runtime_of
from scripts.building.bytecode import compile_ahead
from scripts.building.release import release_of
from scripts.building.swagger_ui import ensure_swagger_ui
from scripts.building.tools import missing_tools, runs, sam_environment
from scripts.local import locks
from scripts.local.folder import PROJECT
from scripts.local.template import DEFAULT_PATH, Template

SAM = PROJECT / ".venv-deploy" / "bin" / "sam"

_STAMP = ".release"
_PATIENCE_SECONDS = 300
_LAST_LINES = 15


def built(architecture: Architecture, *, in_container: bool = False) -> Artifacts:
    """The artifacts of the project as it is: those of an earlier build where nothing has changed since.

    A build takes some 30 s; another process that asks meanwhile waits for it. Raises BuildError.
    """
    BUILDS.mkdir(parents=True, exist_ok=True)
    lock = locks.acquire(BUILDS / f"{architecture}.lock", patience=_PATIENCE_SECONDS)
    if lock is None:
        raise BuildError(f"Another build for {architecture} has been under way for {_PATIENCE_SECONDS} s. End it.")
    try:
        compiles = runs(runtime_of(Template.load()))
        parameters = {"Architecture": architecture, "Bytecode": str(compiles)}
        folder, release = BUILDS / architecture, release_of(PROJECT, parameters)
        if not _is_of(folder, release):
            shutil.rmtree(folder, ignore_errors=True)
            ensure_swagger_ui()
            _build(folder, architecture, in_container=in_container)
            if compiles:
                compile_ahead(Artifacts(folder))
            (folder / _STAMP).write_text(release, encoding="utf-8")
        return Artifacts(folder)
    finally:
        lock.close()


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
