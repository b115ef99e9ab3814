"""Looks every locked package up among the known advisories: `scripts/audit.sh`.

The exit status tells three things apart that must not be taken for each other: 0, everything was looked up and nothing
is known but what is passed over; 1, there is something to do; 3, the advisories could not be asked for.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from scripts.supply.advisories import Advisory, CouldNotAskError, NotLookedUpError, ask_npm, ask_python
from scripts.supply.exceptions import Passed, check_exceptions, read_exceptions
from scripts.supply.locked import NPM_LOCK, npm_packages, read_locks
from scripts.supply.locks import LockError

ROOT = Path(__file__).parents[2]
Ask = Callable[[], Sequence[Advisory]]
NONE_KNOWN, TO_DO, NOT_ASKED = 0, 1, 3


@dataclass(slots=True)
class Audit:
    packages: int = 0
    to_do: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    not_asked: list[str] = field(default_factory=list)

    @property
    def status(self) -> int:
        """What is known is told first: half an answer with an advisory in it is something to do."""
        if self.to_do:
            return TO_DO
        return NOT_ASKED if self.not_asked else NONE_KNOWN


def main(arguments: Sequence[str]) -> int:
    asked = _arguments(arguments)
    try:
        audit = audited(ROOT, asked.on)
    except LockError as exc:
        print(f"audit.sh: requirements/{exc}", file=sys.stderr)
        return TO_DO
    for line in audit.passed:
        print(f"passed over: {line}")
    for line in audit.to_do:
        print(f"audit.sh: {line}", file=sys.stderr)
    for line in audit.not_asked:
        print(f"audit.sh: NOT ASKED, so nothing is known of these packages: {line}", file=sys.stderr)
    if audit.status == NONE_KNOWN:
        print(f"{audit.packages} packages: no known advisory but those passed over")
    return audit.status


def audited(root: Path, on: date, registries: Mapping[str, Ask] | None = None) -> Audit:
    """`registries` stand in for the real ones. Raises LockError."""
    locks = read_locks(root)
    audit = Audit(len({one.pinned for packages in locks.values() for one in packages}) + len(npm_packages(root)))
    audit.to_do += check_exceptions(root, on, locks).faults
    for what, ask in (registries or real_registries(root)).items():
        try:
            judge(ask(), read_exceptions(root), on, audit)
        except NotLookedUpError as exc:
            audit.to_do.append(f"{what}: a package was not looked up, nor those behind it: {exc}")
        except CouldNotAskError as exc:
            audit.not_asked.append(f"{what}: {exc}")
    return audit


def real_registries(root: Path, environ: Mapping[str, str] | None = None) -> dict[str, Ask]:
    """By the programs that ask them; `environ` may lead these elsewhere."""
    python = [one for packages in read_locks(root).values() for one in packages]
    return {
        "Python's": lambda: ask_python(python, environ or {}),
        "npm's": lambda: ask_npm(root / NPM_LOCK, environ or {}),
    }


def judge(advisories: Sequence[Advisory], passed: Sequence[Passed], on: date, audit: Audit) -> None:
    """Adds each to what is to do, or to what is passed over on that day."""
    for advisory in advisories:
        entries = [one for one in passed if _is_of(one, advisory)]
        if any(one.holds(on) for one in entries):
            audit.passed.append(f"{advisory}, until {max(one.until for one in entries)}")
        else:
            audit.to_do.append(str(advisory))


def _is_of(passed: Passed, advisory: Advisory) -> bool:
    return (passed.package, passed.version) == (advisory.package, advisory.version) and passed.id in advisory.ids


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="audit.sh",
        description="Look every locked package up among the registries' advisories. Ends with 0 where nothing is known"
        " but what .audit.toml passes over, 1 where there is something to do (an advisory, an exception that has ended,"
        " a package that was not looked up), 3 where the advisories could not be asked for.",
    )
    parser.add_argument(
        "--on",
        type=date.fromisoformat,
        default=datetime.now(UTC).date(),
        metavar="YYYY-MM-DD",
        help="which exceptions hold on that day, instead of today",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
