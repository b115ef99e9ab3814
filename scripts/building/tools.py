"""The programs that SAM needs beside it for a build."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

_BUILT = frozenset({"AWS::Serverless::Function", "AWS::Serverless::LayerVersion"})


def missing_tools(document: Mapping[str, Any]) -> list[str]:
    """What a build of the template needs and the PATH does not have, or has as a shim with nothing behind it."""
    return [tool for tool in sorted(set(_needed(document))) if not runs(tool)]


def runs(tool: str) -> bool:
    if not shutil.which(tool):
        return False
    return subprocess.run([tool, "--version"], capture_output=True, check=False).returncode == 0


def sam_environment() -> dict[str, str]:
    """The caller's environment, without reports to SAM's makers."""
    return {**os.environ, "SAM_CLI_TELEMETRY": "0"}


def _needed(document: Mapping[str, Any]) -> Iterator[str]:
    """`make` for makefiles, otherwise the interpreter that the runtime is named after."""
    default = document.get("Globals", {}).get("Function", {}).get("Runtime")
    for body in document["Resources"].values():
        metadata = body.get("Metadata", {})
        if body["Type"] not in _BUILT or metadata.get("SkipBuild"):
            continue
        is_function = body["Type"] == "AWS::Serverless::Function"
        method = metadata.get("BuildMethod") or (is_function and body["Properties"].get("Runtime", default))
        if method:
            yield "make" if method == "makefile" else str(method)
