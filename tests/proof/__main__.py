"""`./scripts/prove.sh`: runs the suites, each in a process of its own, and prints what came of them."""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .outcome import Options, Outcome
from .suites import SUITES, Suite
from .table import table

_ROOT = Path(__file__).parents[2]
_PYTHONPATH = os.pathsep.join(str(_ROOT / folder) for folder in ("src", ".", "clients/python/src"))


def main() -> int:
    arguments = _arguments()
    options = Options(arguments.quick, secrets.randbelow(2**32) if arguments.seed is None else arguments.seed)
    suites = [SUITES[name] for name in arguments.suites or SUITES]
    print(f"seed {options.seed}{', quick' if options.is_quick else ''}: {', '.join(suite.name for suite in suites)}")
    together = [suite for suite in suites if not suite.is_alone]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        found = dict(pool.map(lambda suite: (suite.name, _run(suite, options)), together))
    found |= {suite.name: _run(suite, options) for suite in suites if suite.is_alone}
    print(table({suite.name: found[suite.name] for suite in suites}))
    return 0 if all(outcome.holds for outcome, _ in found.values()) else 1


def _arguments() -> argparse.Namespace:
    held = "\n".join(f"  {suite.name:18}{suite.holds}" for suite in SUITES.values())
    parser = argparse.ArgumentParser(
        prog="prove.sh",
        description="Run the proof suites; ends with 1 where one found a violation, or a fault that never fired.",
        epilog=f"suites:\n{held}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="suites to run; all where none is named")
    parser.add_argument("--quick", action="store_true", help="a part of each that takes seconds, as the gate runs it")
    parser.add_argument("--seed", type=int, help="repeats the run that printed it")
    parser.add_argument("--jobs", type=int, default=1, help="suites at once, those aside that measure time or memory")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.suites if name not in SUITES]
    if unknown:
        parser.error(f"there is no suite {', '.join(unknown)}: choose from {', '.join(SUITES)}")
    if arguments.jobs < 1:
        parser.error("--jobs must be at least 1")
    return arguments


def _run(suite: Suite, options: Options) -> tuple[Outcome, float]:
    """The suite's outcome and how long it took, in seconds; a suite that breaks off is a violation."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "outcome.json")
        command = [f"{suite.environment}/bin/python", "-m", f"{__package__}.run"]
        ended = subprocess.run(
            [*command, suite.name, str(options.seed), str(file), *(["--quick"] if options.is_quick else [])],
            cwd=_ROOT,
            env={**os.environ, "PYTHONPATH": _PYTHONPATH, "PYTHONHASHSEED": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - started
        print(f"{suite.name} ended after {seconds:.0f} s", file=sys.stderr)
        if ended.returncode == 0:
            return Outcome.loads(file.read_text(encoding="utf-8")), seconds
    print(ended.stdout, file=sys.stderr)
    return Outcome(violations=[f"it broke off with status {ended.returncode}; what it said is above"]), seconds


if __name__ == "__main__":
    sys.exit(main())
