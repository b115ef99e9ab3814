"""Similarity beside its peers: search, filters, loading, storing and the matrix of nearest neighbours.

    benchmarks/run.sh similarity                 everything; about fifteen minutes
    benchmarks/run.sh similarity search filter   these parts alone

Each part is a process of its own in which every library has one thread. Figures are CPU time (all threads of the
process), medians of rounds in which the contenders take turns; ratios are taken within a round.
"""

import argparse
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[1]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "search": (("similarity_search", "search"),),
    "filter": (("similarity_search", "filter", "--rows", "100000"),),
    "load": (("similarity_load", "load"), ("similarity_load", "load", "--rows", "100000", "--rounds", "3")),
    "page": (("similarity_load", "page", "--rounds", "15"),),
    "matrix": (("similarity_matrix",),),
}
"""The commands of each part, by their module and arguments."""

_PACKAGES = ("numpy", "faiss-cpu", "usearch", "scikit-learn", "boto3")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure similarity beside its peers.")
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all of them unless some are named")
    options = parser.parse_args(arguments)
    print(f"Python {platform.python_version()}, {', '.join(f'{name} {version(name)}' for name in _PACKAGES)}")
    for part in options.parts or PARTS:
        for module, *rest in PARTS[part]:
            command = [sys.executable, "-m", f"benchmarks.{module}", *rest]
            subprocess.run(command, env=_environment(), cwd=ROOT, check=True)


def _environment() -> dict[str, str]:
    """One thread each, before any library is imported."""
    return {**os.environ, **dict.fromkeys(THREADS, "1"), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"}


if __name__ == "__main__":
    main()
