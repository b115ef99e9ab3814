"""Runs one suite in this process: `python -m tests.proof.run NAME SEED FILE` writes its outcome to the file."""

import argparse
from pathlib import Path

from .outcome import Options
from .suites import SUITES


def main() -> None:
    parser = argparse.ArgumentParser(description="Run one suite and write its outcome, as JSON, to a file.")
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("seed", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    outcome = SUITES[arguments.suite].load()(Options(arguments.quick, arguments.seed))
    arguments.file.write_text(outcome.dumps(), encoding="utf-8")


if __name__ == "__main__":
    main()
