"""The command line of scripts/openapi.py."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.description.document import PROJECT, build, files
from scripts.description.release import AlreadyReleased, keep, last_released, unannounced


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say; the exit status is 1 where a check fails."""
    options = _parser().parse_args(arguments)
    if options.check:
        return _check()
    if options.compare is not None:
        return _compare(options.compare or None)
    if options.release:
        return _release()
    return _write()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/openapi.py", description="Writes the OpenAPI document of the API.")
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--check", action="store_true", help="write nothing; fail where a file is not what it would be")
    does.add_argument(
        "--compare",
        nargs="?",
        const="",
        metavar="FILE",
        help="fail for changes since the last release, or FILE, that break a client, unless the version tells of them",
    )
    does.add_argument("--release", action="store_true", help="keep the document as that of its version's release")
    return parser


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


def _release() -> int:
    try:
        print(keep(build()).relative_to(PROJECT))
    except AlreadyReleased as error:
        print(
            f"{error} is the document of this version's release, and another one. Raise shared.__version__; or remove"
            " the file, if that version was never released.",
            file=sys.stderr,
        )
        return 1
    return 0


def _compare(file: str | None) -> int:
    released = last_released() if file is None else json.loads(Path(file).read_text(encoding="utf-8"))
    if released is None:
        print("Nothing was released yet: scripts/openapi.py --release keeps the document to compare with.")
        return 0
    found = unannounced(released, build())
    for each in found:
        print(each, file=sys.stderr)
    if found:
        version = released["info"]["version"]
        print(
            f"Clients of {version} would break. Keep what they know, or raise shared.__version__: the major one, or"
            " before 1.0.0 the minor one.",
            file=sys.stderr,
        )
    return 1 if found else 0
