"""Looks at inputs again, without the engine: `PYTHONPATH=src .venv/bin/python -m tests.proof.fuzz TARGET FILE...`

What was found is raised; an input that is read, or refused, as it should be is told by its label.
"""

import argparse
from pathlib import Path

from .targets import TARGETS


def main() -> None:
    parser = argparse.ArgumentParser(description="Read inputs as a target does.")
    parser.add_argument("target", choices=sorted(TARGETS))
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    for file in arguments.files:
        print(f"{file}: {TARGETS[arguments.target].check(file.read_bytes())}")


if __name__ == "__main__":
    main()
