"""A built function in a bare interpreter: no site-packages, no project, only the artifact on the path, as in Lambda."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from scripts.building.artifacts import Artifact

RUNTIME = "python3.13"

_DRIVER = """
import json, os, sys, time
order = json.loads(sys.stdin.read())
sys.path[:0] = order["path"]
told, null = os.dup(1), os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
began = time.perf_counter(), time.process_time()
import importlib
module, _, name = order["handler"].rpartition(".")
handler = getattr(importlib.import_module(module), name)
imported = time.perf_counter(), time.process_time()
status = None
if order["event"] is not None:
    class Context:
        aws_request_id = "00000000-0000-4000-8000-000000000000"
        function_name = order["function"]
        def get_remaining_time_in_millis(self):
            return 900_000
    answer = handler(order["event"], Context())
    status = answer["statusCode"] if answer is not None else None
answered = time.perf_counter(), time.process_time()
own = (*order["path"], sys.base_prefix + "/")
import importlib.util
files = [module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)]
sources = [file for file in files if file.endswith(".py") and file.startswith(tuple(order["path"]))]
report = {
    "status": status,
    "wall": [imported[0] - began[0], answered[0] - imported[0]],
    "cpu": [imported[1] - began[1], answered[1] - imported[1]],
    "strange": [file for file in files if not file.startswith(own)],
    "uncompiled": [file for file in sources if not os.path.exists(importlib.util.cache_from_source(file))],
    "has_numpy": "numpy" in sys.modules,
    "modules": len(sys.modules),
}
os.write(told, json.dumps(report).encode())
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What became of one start; seconds of the clock and of the processor, for the import and for the answer."""

    status: int | None
    wall: tuple[float, float]
    cpu: tuple[float, float]
    strange: tuple[str, ...]
    """Files of modules from elsewhere than the artifact and Python's own library."""
    uncompiled: tuple[str, ...]
    """Files of modules that had no bytecode."""
    has_numpy: bool
    modules: int


@lru_cache(maxsize=1)
def interpreter() -> str:
    """The runtime's Python itself, whatever stands for it on the PATH."""
    command = [RUNTIME, "-c", "import sys; print(sys.executable)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def start(artifact: Artifact, event: Any = None, variables: Mapping[str, str] | None = None) -> Run:
    """Imports the handler and has it answer the event, if any. Raises AssertionError with what stopped it."""
    order = {
        "path": [str(folder) for folder in artifact.path],
        "handler": artifact.handler,
        "function": artifact.function,
        "event": event,
    }
    done = subprocess.run(
        [interpreter(), "-I", "-S", "-B", "-c", _DRIVER],
        input=json.dumps(order),
        env=dict(variables or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"{artifact.handler}: {done.stderr}"
    told = json.loads(done.stdout)
    return Run(
        status=told["status"],
        wall=tuple(told["wall"]),
        cpu=tuple(told["cpu"]),
        strange=tuple(told["strange"]),
        uncompiled=tuple(told["uncompiled"]),
        has_numpy=told["has_numpy"],
        modules=told["modules"],
    )
