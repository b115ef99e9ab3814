"""Makes the environment that a migration needs, and goes on in it. Runs on whatever Python it is started with."""

from __future__ import annotations

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXTRAS = ("duckdb", "parquet", "postgresql")
"""The kinds of source that need more than the plain install: a lock file and an environment of their own."""

KINDS = frozenset({*EXTRAS, "json", "ndjson", "csv", "couchdb", "dynamodb", "dynamodb-export"})

_ENSURE = """
set -euo pipefail
source "$0/scripts/lib/environment.sh"
while (($#)); do ensure_environment "$1" "$2"; shift 2; done
"""


def launch(module: str, arguments: list[str]) -> None:
    """Run a module in place of this process. Ends it where the environment cannot be made; what failed has said why."""
    named = kinds(arguments)
    extras = [kind for kind in EXTRAS if kind in named]
    wanted = [".venv-migrate", "migrate.txt"]
    for kind in extras:
        wanted += [f".venv-migrate-{kind}", f"migrate-{kind}.txt"]
    made = subprocess.call(["bash", "-c", _ENSURE, ROOT, *wanted], stdout=sys.stderr)
    if made != 0:
        sys.exit(made)
    python = os.path.join(ROOT, ".venv-migrate", "bin", "python")
    paths = [ROOT, os.path.join(ROOT, "src"), *(packages(kind) for kind in extras)]
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(paths))
    # -P: a folder `scripts` where the user happens to be is not ours.
    os.execve(python, [python, "-P", "-m", module, *arguments], environment)  # noqa: S606 - no shell is wanted


def kinds(arguments: list[str]) -> list[str]:
    """The kinds of source that the command line, or else the folder of the migration, names."""
    named = [argument.partition(":")[0] for argument in arguments if ":" in argument]
    named = [kind for kind in named if kind in KINDS]
    return named or [str(_kept(_work_folder(arguments)).get("source", "")).partition(":")[0]]


def packages(kind: str) -> str:
    """Where an extra's environment has its libraries, which go beside those of the plain install."""
    library = os.path.join(ROOT, f".venv-migrate-{kind}", "lib")
    (version,) = (name for name in os.listdir(library) if name.startswith("python"))
    return os.path.join(library, version, "site-packages")


def _work_folder(arguments: list[str]) -> str:
    for place, argument in enumerate(arguments):
        if argument.startswith("--work="):
            return argument.partition("=")[2]
        if argument == "--work" and place + 1 < len(arguments):
            return arguments[place + 1]
    return ".migration"


def _kept(folder: str) -> dict[str, object]:
    try:
        with open(os.path.join(folder, "command.json"), encoding="utf-8") as file:
            command = json.load(file)
    except (OSError, ValueError):
        return {}
    return command if isinstance(command, dict) else {}
