"""Bytecode beside the source of what is deployed.

Lambda's folders are read-only, so a process that finds no bytecode compiles what it imports, at each cold start anew:
that is two thirds of one (`benchmarks/run.sh artifacts`).
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from scripts.building.artifacts import Artifacts, BuildError

_CODE, _LAYERS = "/var/task", "/opt"
"""Where Lambda puts what is compiled here: tracebacks name these."""

# Times of files do not survive a deployment, so the bytecode is not compared with the source.
_OPTIONS = ("-q", "-q", "--invalidation-mode", "unchecked-hash")


def compile_ahead(artifacts: Artifacts) -> None:
    """Adds it to every function and layer, the same bytes for the same sources. Raises BuildError.

    It takes the runtime's own Python on this machine, which need not be here after a build in a container.
    """
    functions = artifacts.functions()
    for layer in sorted({layer for function in functions for layer in function.layers}):
        _compile(artifacts.runtime, layer, _LAYERS)
    first, *others = (function.code for function in functions)
    _compile(artifacts.runtime, first, _CODE)
    for code in others:  # the same source: one build for all of them
        _copy(first, code)


def _compile(python: str, folder: Path, place: str) -> None:
    tests = f"^{re.escape(str(folder))}/.*/tests?/"
    where = ["-x", tests, "-s", str(folder), "-p", place, str(folder)]
    command = [python, "-m", "compileall", *_OPTIONS, *where]
    done = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{folder.name} could not be compiled by {python}: {(done.stdout + done.stderr).strip()}")
    if not any(folder.rglob("*.pyc")):
        raise BuildError(f"{folder.name} has no bytecode after {' '.join(command)}.")


def _environment() -> dict[str, str]:
    """Sets in an order of their own would make other bytes of the same source, and a deployment of no change."""
    return {**os.environ, "PYTHONHASHSEED": "0"}


def _copy(source: Path, target: Path) -> None:
    for made in source.rglob("__pycache__"):
        shutil.copytree(made, target / made.relative_to(source), dirs_exist_ok=True)
