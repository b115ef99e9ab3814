"""What `scripts/audit.sh` makes of what registries may say: each is told from all others by status and words."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from scripts.supply.advisories import CANARY, NPM_CANARY
from scripts.supply.audit import NONE_KNOWN, NOT_ASKED, TO_DO, Audit, audited
from scripts.supply.exceptions import read_exceptions
from scripts.supply.locked import npm_packages
from scripts.supply.locks import Locked, read_lock
from tests.proof.outcome import Options, Outcome

from .copies import copied_project
from .stand_in import Known, running_stand_in

_MADE_UP = "CVE-2026-00001"
_MADE_UP_NPM = "GHSA-0000-0000-0000"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What the registries know, on which day they are asked, and what has to come of it."""

    known: Known
    on: date
    status: int
    said: tuple[str, ...]
    """Of these, each has to be in what there is to do, is passed over, or was not asked."""


def hear_stand_in(outcome: Outcome, options: Options) -> None:
    with copied_project() as copy:
        _leave_core(copy)
        for kinds, hearing in _HEARINGS.items():
            for turn in range(1 if options.is_quick else 3):
                heard = hearing(copy, options.random(*kinds, turn))
                with running_stand_in(heard.known) as environ:
                    audit = audited(copy, heard.on, environ)
                outcome.cases += 1
                told = _told(audit)
                if audit.status == heard.status and all(words in told for words in heard.said):
                    outcome.faults.update(kinds)
                else:
                    outcome.violations.append(
                        f"{', '.join(kinds) or 'nothing new'}: status {audit.status} in place of {heard.status},"
                        f" and {told[:400]!r} in place of {heard.said} (--seed {options.seed})"
                    )


def _told(audit: Audit) -> str:
    return "\n".join((*audit.to_do, *audit.passed, *audit.not_asked))


def _leave_core(copy: Path) -> None:
    """What is deployed in every function is enough to be asked for."""
    for path in (copy / "requirements").iterdir():
        if path.is_file() and path.stem != "core":
            path.unlink()


def _recorded(copy: Path) -> Known:
    """What every registry knows, and what the project passes over."""
    known = Known({CANARY[:2]: CANARY[2]}, {NPM_CANARY[0]: NPM_CANARY[2]})
    known.python |= {(one.package, one.version): one.id for one in read_exceptions(copy)}
    return known


def _today() -> date:
    return datetime.now(UTC).date()


def _other(copy: Path, chosen: random.Random) -> Locked:
    recorded = {one.package for one in read_exceptions(copy)}
    return chosen.choice([one for one in read_lock(copy / "requirements/core.txt") if one.name not in recorded])


def _nothing_new(copy: Path, _: random.Random) -> Hearing:
    return Hearing(_recorded(copy), _today(), NONE_KNOWN, tuple(one.id for one in read_exceptions(copy)))


def _advisories(copy: Path, chosen: random.Random) -> Hearing:
    known, package = _recorded(copy), _other(copy, chosen)
    name = chosen.choice(sorted({path.rpartition("node_modules/")[2] for path in npm_packages(copy)}))
    known.python[package.name, package.version] = _MADE_UP
    known.npm[name] = _MADE_UP_NPM
    said = (f"{package.name} {package.version}: {_MADE_UP}", f"made up, in {name}")
    return Hearing(known, _today(), TO_DO, said)


def _exception_over(copy: Path, chosen: random.Random) -> Hearing:
    passed = chosen.choice(read_exceptions(copy))
    ended = f"{passed.package} {passed.version}: {passed.id}"
    return Hearing(_recorded(copy), passed.until + timedelta(days=1), TO_DO, (ended, f"ended on {passed.until}"))


def _stranger(copy: Path, chosen: random.Random) -> Hearing:
    known, package = _recorded(copy), _other(copy, chosen)
    known.strangers.add(package.name)
    return Hearing(known, _today(), TO_DO, ("was not looked up", f"{package.name} ({package.version})"))


def _knows_nothing(copy: Path, _: random.Random) -> Hearing:
    """As a mirror does that has the packages and says of none that anything is known."""
    said = (f"does not report {CANARY[2]}", f"does not report {NPM_CANARY[2]}")
    return Hearing(Known(), _today(), NOT_ASKED, said)


def _answers_nothing(copy: Path, _: random.Random) -> Hearing:
    return Hearing(Known(is_mute=True), _today(), NOT_ASKED, ("Python's: ", "npm's: "))


_HEARINGS: dict[tuple[str, ...], Callable[[Path, random.Random], Hearing]] = {
    (): _nothing_new,
    ("an advisory on a Python package", "an advisory on an npm package"): _advisories,
    ("an advisory whose exception is over",): _exception_over,
    ("a package that the registry does not know",): _stranger,
    ("a registry that knows no advisory",): _knows_nothing,
    ("a registry that answers nothing",): _answers_nothing,
}
HEARINGS = tuple(kind for kinds in _HEARINGS for kind in kinds)
