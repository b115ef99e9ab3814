"""Advisories that are passed over until a date: `.audit.toml`, beside docs/security-exceptions.md and their tests."""

import ast
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from scripts.supply.checks import Checks
from scripts.supply.locks import Locked

FILE = Path(".audit.toml")
RECORD = Path("docs/security-exceptions.md")
LONGEST_DAYS = 200
"""How long one may be passed over before somebody looks at it again."""


@dataclass(frozen=True, slots=True)
class Passed:
    """One advisory against one version of one package."""

    id: str
    package: str
    version: str
    reason: str
    recorded: date
    until: date
    """The last day."""

    test: str

    def holds(self, on: date) -> bool:
        return self.recorded <= on <= self.until


def read_exceptions(root: Path) -> list[Passed]:
    """Raises TypeError for an entry that lacks a member or has another."""
    told = tomllib.loads((root / FILE).read_text(encoding="utf-8"))
    return [Passed(**entry) for entry in told.get("exception", [])]


def check_exceptions(root: Path, on: date, locks: Mapping[str, Sequence[Locked]]) -> Checks:
    """That each has not ended, is of what is locked, and has its section and its test."""
    checks = Checks()
    record = (root / RECORD).read_text(encoding="utf-8")
    locked = {(one.name, one.version) for packages in locks.values() for one in packages}
    for passed in read_exceptions(root):
        where = f"{FILE}: {passed.id} of {passed.package}"
        checks.hold(
            passed.holds(on), f"{where} ended on {passed.until}: look at it again, then state a new date or upgrade"
        )
        days = (passed.until - passed.recorded).days
        checks.hold(0 < days <= LONGEST_DAYS, f"{where} is for {days} days: no more than {LONGEST_DAYS}")
        checks.hold(
            (passed.package, passed.version) in locked,
            f"{where}: {passed.version} is locked no more, so look whether the entry still has to be there",
        )
        section = _section(record, passed.id)
        for text in (f"{passed.package} {passed.version}", str(passed.recorded), str(passed.until), passed.test):
            checks.hold(text in section, f"{where}: {RECORD} has no section of it that says {text!r}")
        checks.hold(_is_test(root, passed.test), f"{where}: there is no test {passed.test}")
    return checks


def _section(record: str, name: str) -> str:
    _, found, rest = record.partition(f"\n## {name}")
    return rest.partition("\n## ")[0] if found else ""


def _is_test(root: Path, test: str) -> bool:
    """A function or a class of tests, as pytest names it."""
    file, _, name = test.partition("::")
    if not (root / file).is_file():
        return False
    tree = ast.parse((root / file).read_text(encoding="utf-8"))
    return any(isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name for node in tree.body)
