"""What `scripts/audit.sh` makes of what registries may say: each is told from all others by status and words."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from scripts.supply.advisories import CANARY, NPM_CANARY, Advisory
from scripts.supply.audit import NONE_KNOWN, NOT_ASKED, TO_DO, Ask, Audit, audited, real_registries
from scripts.supply.exceptions import read_exceptions
from scripts.supply.locked import npm_packages
from scripts.supply.locks import Locked, read_lock
from tests.proof.outcome import Options, Outcome

from .copies import copied_project
from .stand_in import Known, running_stand_in

_PYTHON = "Python's"
_MADE_UP = "CVE-2026-00001"
_MADE_UP_NPM = "GHSA-0000-0000-0000"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is asked on which day, and what has to come of it."""

    registries: Mapping[str, Ask]
    on: date
    status: int
    said: tuple[str, ...]
    """Each of these has to be in what there is to do, is passed over, or was not asked."""


Hears = Callable[[Path, "_StandIn", random.Random], Hearing]


@dataclass(slots=True)
class _StandIn:
    """What the registries of this machine know can be changed while they serve."""

    known: Known
    registries: Mapping[str, Ask]

    @property
    def python(self) -> Mapping[str, Ask]:
        return {_PYTHON: self.registries[_PYTHON]}

    @property
    def npm(self) -> Mapping[str, Ask]:
        return {name: ask for name, ask in self.registries.items() if name != _PYTHON}


def hear_stand_in(outcome: Outcome, options: Options) -> None:
    with copied_project() as copy:
        _leave_core(copy)
        for kinds, hears in _hearings(options).items():
            for turn in range(1 if options.is_quick else 3):
                known = _recorded(copy)
                with running_stand_in(known) as environ:
                    stand_in = _StandIn(known, real_registries(copy, environ))
                    hearing = hears(copy, stand_in, options.random(*kinds, turn))
                    audit = audited(copy, hearing.on, hearing.registries)
                _count(outcome, kinds, hearing, audit, options.seed)


def _count(outcome: Outcome, kinds: tuple[str, ...], hearing: Hearing, audit: Audit, seed: int) -> None:
    outcome.cases += 1
    told = _told(audit)
    if audit.status == hearing.status and all(words in told for words in hearing.said):
        outcome.faults.update(kinds)
    else:
        outcome.violations.append(
            f"{', '.join(kinds) or 'nothing new'}: status {audit.status} in place of {hearing.status}, and"
            f" {told[:400]!r} in place of {hearing.said} (--seed {seed})"
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


def _nothing_new(copy: Path, stand_in: _StandIn, _: random.Random) -> Hearing:
    said = tuple(one.id for one in read_exceptions(copy))
    return Hearing(stand_in.python, _today(), NONE_KNOWN, said)


def _advisories(copy: Path, stand_in: _StandIn, chosen: random.Random) -> Hearing:
    package = _other(copy, chosen)
    name = chosen.choice(sorted({path.rpartition("node_modules/")[2] for path in npm_packages(copy)}))
    stand_in.known.python[package.name, package.version] = _MADE_UP
    stand_in.known.npm[name] = _MADE_UP_NPM
    said = (f"{package.name} {package.version}: {_MADE_UP}", f"made up, in {name}")
    return Hearing(stand_in.registries, _today(), TO_DO, said)


def _exception_over(copy: Path, _: _StandIn, chosen: random.Random) -> Hearing:
    """What a registry says is handed over as it is: which day it is asked on changes nothing of it."""
    passed = chosen.choice(read_exceptions(copy))
    advisory = Advisory(passed.package, passed.version, (passed.id,), "no fixed release")
    after = passed.until + timedelta(days=1)
    return Hearing({_PYTHON: lambda: [advisory]}, after, TO_DO, (str(advisory), f"ended on {passed.until}"))


def _stranger(copy: Path, stand_in: _StandIn, chosen: random.Random) -> Hearing:
    package = _other(copy, chosen)
    stand_in.known.strangers.add(package.name)
    said = ("was not looked up", f"{package.name} ({package.version})")
    return Hearing(stand_in.python, _today(), TO_DO, said)


def _knows_nothing(copy: Path, stand_in: _StandIn, _: random.Random) -> Hearing:
    """As a mirror does that has the packages, and says of none that anything is known."""
    stand_in.known.python.clear()
    return Hearing(stand_in.python, _today(), NOT_ASKED, (f"does not report {CANARY[2]}",))


def _knows_no_npm(copy: Path, stand_in: _StandIn, _: random.Random) -> Hearing:
    stand_in.known.npm.clear()
    return Hearing(stand_in.npm, _today(), NOT_ASKED, (f"does not report {NPM_CANARY[2]}",))


def _answers_nothing(copy: Path, stand_in: _StandIn, _: random.Random) -> Hearing:
    stand_in.known.is_mute = True
    return Hearing(stand_in.python, _today(), NOT_ASKED, (CANARY[0],))


def _refuses_npm(copy: Path, stand_in: _StandIn, _: random.Random) -> Hearing:
    stand_in.known.is_mute = True
    return Hearing(stand_in.npm, _today(), NOT_ASKED, ("405 Method Not Allowed",))


_HEARINGS: dict[tuple[str, ...], Hears] = {
    (): _nothing_new,
    ("an advisory on a Python package", "an advisory on an npm package"): _advisories,
    ("an advisory whose exception is over",): _exception_over,
    ("a package that the registry does not know",): _stranger,
    ("a registry that answers nothing",): _answers_nothing,
    ("an npm registry that knows no advisory",): _knows_no_npm,
}
_LONG_HEARINGS: dict[tuple[str, ...], Hears] = {
    ("a registry that knows no advisory",): _knows_nothing,
    ("an npm registry that answers nothing",): _refuses_npm,
}


def kinds_heard(options: Options) -> list[str]:
    return [kind for kinds in _hearings(options) for kind in kinds]


def _hearings(options: Options) -> dict[tuple[str, ...], Hears]:
    return _HEARINGS if options.is_quick else _HEARINGS | _LONG_HEARINGS
