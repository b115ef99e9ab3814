"""The command line of scripts/openapi.py."""

import argparse
import sys
from collections.abc import Sequence

from scripts.description.document import PROJECT, build, files


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit status is 1 where a check fails."""
    parser = argparse.ArgumentParser(prog="scripts/openapi.py", description="Writes the OpenAPI document.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is not what it would be")
    options = parser.parse_args(arguments)
    return _check() if options.check else _write()


def _write() -> int:
    for path, text in files(build()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(PROJECT))
    return 0


def _check() -> int:
    stale = [path for path, text in files(build()).items() if not path.is_file() or path.read_text("utf-8") != text]
    for path in stale:
        print(f"{path.relative_to(PROJECT)} is not what the code says. Run scripts/openapi.py.", file=sys.stderr)
    return 1 if stale else 0
