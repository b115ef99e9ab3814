"""The same work in machine instructions, counted by valgrind: slow, and exact on the busiest machine.

It sees what a process itself executes: not the kernel, and nothing of what a thread pool costs in waiting and waking.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence

_FEW, _MANY = 20, 120
_TRIES = 3
"""Under valgrind on a busy machine the fetch of the keys may run into its timeout."""


def is_available() -> bool:
    return shutil.which("valgrind") is not None


def count(names: Sequence[str], scene: str, environment: Mapping[str, str]) -> dict[str, tuple[float, float]]:
    """(thousands per warm request, millions per cold start) of each contender."""
    return {name: _count(name, scene, environment) for name in names}


def _count(name: str, scene: str, environment: Mapping[str, str]) -> tuple[float, float]:
    cold, few, many = (_run(name, scene, requests, environment) for requests in (1, _FEW, _MANY))
    return (many - few) / (_MANY - _FEW) / 1e3, cold / 1e6


def _run(name: str, scene: str, requests: int, environment: Mapping[str, str]) -> int:
    """Instructions of a process that answers `requests` events, the collector off so that its timing cannot matter."""
    code = f"from benchmarks.cold import answer; answer({name!r}, {scene!r}, {requests})"
    valgrind = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    # The interpreter itself, as valgrind does not follow a virtual environment's link to it.
    command = [*valgrind, os.path.realpath(sys.executable), "-c", code]
    packages = {"PYTHONPATH": f"{environment['PYTHONPATH']}:{sysconfig.get_path('purelib')}", "PYTHONHASHSEED": "0"}
    for _ in range(_TRIES):
        done = subprocess.run(command, env={**environment, **packages}, capture_output=True, text=True)
        counted = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
        if done.returncode == 0 and counted:
            return int(counted[1].replace(",", ""))
    raise RuntimeError(f"{name} did not answer under valgrind: {done.stderr}")
