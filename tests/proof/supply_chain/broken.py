"""Broken copies of the project: each breakage is noticed, by the checker that is for it; an unbroken copy is not."""

import json
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scripts.supply.exceptions import check_exceptions, read_exceptions
from scripts.supply.installed import Installed
from scripts.supply.locked import NPM_LOCK, check_locks, read_locks
from scripts.supply.locks import Locked, read_lock
from scripts.supply.sbom import DEPLOYED, PAGE, TOOLS, inventory_of, stale, written
from tests.proof.outcome import Options, Outcome

from .copies import copied_project, replaced
from .installer import installer_refuses
from .whole import installed

_LATE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Broken:
    what: str
    """What was done to the copy."""

    said: str
    """What the fault has to name."""


def look_at_broken(outcome: Outcome, options: Options) -> None:
    packages = installed()
    for kind, (breaks, look) in _BREAKAGES.items():
        for turn in range(1 if options.is_quick else 12):
            with copied_project() as copy:
                broken = breaks(copy, options.random(kind, turn))
                _count(outcome, kind, broken, look(copy, packages), options.seed)
    with copied_project() as copy:
        for fault in [*_locks(copy, packages), *_list_of_deployed(copy, packages), *_licences(copy, packages)]:
            outcome.violations.append(f"a copy that nothing was done to: {fault}")
        outcome.cases += 1
    outcome.cases += 1
    if installer_refuses():
        outcome.faults[_INSTALLER] += 1
    else:
        outcome.violations.append("pip does not refuse a file for its hash (--require-hashes)")


def _count(outcome: Outcome, kind: str, broken: Broken, faults: list[str], seed: int) -> None:
    outcome.cases += 1
    if any(broken.said in fault for fault in faults):
        outcome.faults[kind] += 1
    else:
        said = "; ".join(faults)[:300] or "nothing"
        outcome.violations.append(
            f"a checker that sees nothing: {broken.what}, and what was said was {said} (--seed {seed}, {kind})"
        )


def _locks(copy: Path, packages: Installed) -> list[str]:
    return check_locks(copy, packages.requires).faults


def _list_of_deployed(copy: Path, packages: Installed) -> list[str]:
    return _stale(copy, packages, [DEPLOYED, PAGE])


def _list_of_tools(copy: Path, packages: Installed) -> list[str]:
    return _stale(copy, packages, [TOOLS])


def _stale(copy: Path, packages: Installed, files: Iterable[Path]) -> list[str]:
    return stale(copy, written(copy, inventory_of(copy, packages), files)).faults


def _licences(copy: Path, packages: Installed) -> list[str]:
    return inventory_of(copy, packages).check().faults


def _exceptions(copy: Path, _: Installed) -> list[str]:
    last = max(passed.until for passed in read_exceptions(copy))
    return check_exceptions(copy, last + _LATE, read_locks(copy)).faults


def _records(copy: Path, _: Installed) -> list[str]:
    return check_exceptions(copy, datetime.now(UTC).date(), read_locks(copy)).faults


def _any(copy: Path, chosen: random.Random) -> tuple[Path, Locked]:
    """A package of a lock file, every file as likely as the next."""
    path = chosen.choice(sorted((copy / "requirements").glob("*.txt")))
    return path, chosen.choice(read_lock(path))


def _unhashed(copy: Path, chosen: random.Random) -> Broken:
    path, package = _any(copy, chosen)
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not any(one in line for one in package.hashes)), encoding="utf-8")
    return Broken(f"the hashes of {package.name} are taken out of {path.name}", f"{package.pinned} has no hash")


def _other_hash(copy: Path, chosen: random.Random) -> Broken:
    path, package = _any(copy, chosen)
    digest = chosen.choice(sorted(package.hashes))
    replaced(path, digest, f"{chosen.getrandbits(256):064x}")
    return Broken(f"a hash of {package.name} in {path.name} is another", "is not what the lock files say")


def _one_hash(copy: Path, chosen: random.Random) -> Broken:
    """In one of the files that lock boto3 of this version: the others know better."""
    path = copy / "requirements" / chosen.choice(["core.txt", "data.txt", "migrate.txt", "bench.txt"])
    (package,) = [one for one in read_lock(path) if one.name == "boto3"]
    replaced(path, chosen.choice(sorted(package.hashes)), f"{chosen.getrandbits(256):064x}")
    return Broken(f"a hash of boto3 in {path.name} is another", "has other hashes than in")


def _added(path: Path, via: str, chosen: random.Random) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(f"left-by-somebody==1.0 \\\n    --hash=sha256:{chosen.getrandbits(256):064x}\n{via}")


def _stranger(copy: Path, chosen: random.Random) -> Broken:
    path, _ = _any(copy, chosen)
    _added(path, "", chosen)
    return Broken(f"a package is added to {path.name}", "nobody asks for left-by-somebody==1.0")


def _pretender(copy: Path, chosen: random.Random) -> Broken:
    """It says that a package which is installed here asks for it."""
    path = copy / "requirements" / chosen.choice(["core.txt", "data.txt", "dev.txt"])
    _added(path, f"    # via {chosen.choice(['boto3', 'pydantic', 'python-jose'])}\n", chosen)
    return Broken(f"a package is added to {path.name} as if another asked for it", "which does not ask for it")


def _unasked_version(copy: Path, chosen: random.Random) -> Broken:
    path = copy / "requirements" / "core.in"
    replaced(path, "boto3==", f"boto3==0.{chosen.randrange(100)}.")
    return Broken("core.in asks for another boto3", "which core.in asks for, is not locked")


def _strange_line(copy: Path, chosen: random.Random) -> Broken:
    path, _ = _any(copy, chosen)
    line = chosen.choice(["--index-url https://example.org/simple", "evil @ https://example.org/evil.whl", "boto3>=1"])
    path.write_text(f"{line}\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    return Broken(f"{path.name} begins with {line!r}", "neither a pinned package nor a hash of one")


def _without_integrity(copy: Path, chosen: random.Random) -> Broken:
    path = copy / NPM_LOCK
    document = json.loads(path.read_text(encoding="utf-8"))
    name = chosen.choice([one for one in document["packages"] if one])
    del document["packages"][name]["integrity"]
    path.write_text(json.dumps(document), encoding="utf-8")
    return Broken(f"{name} has no integrity", f"{name} has no SHA-512")


def _unlocked_install(copy: Path, chosen: random.Random) -> Broken:
    path = copy / chosen.choice([".ci/run", "scripts/lib/engines.sh", "scripts/prove.sh"])
    command = chosen.choice(['"$python" -m pip install uv==1', ".tools/uv/bin/uv pip install uv", "npm install a@1"])
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{command}\n")
    return Broken(f"{path.name} has {command}", "installs without hashes")


def _outdated(copy: Path, chosen: random.Random) -> Broken:
    path = copy / DEPLOYED
    document = json.loads(path.read_text(encoding="utf-8"))
    purl = chosen.choice([one["purl"] for one in document["components"] if one.get("purl", "").startswith("pkg:pypi")])
    replaced(path, f'"{purl}"', f'"{purl}.1"')
    return Broken(f"{purl} is another version in {path.name}", f"{DEPLOYED} is not what the lock files say")


def _outdated_page(copy: Path, _: random.Random) -> Broken:
    replaced(copy / PAGE, "| LGPL-3.0-only | export |", "| MIT | export |")
    return Broken("LICENSES.md has another licence of fpdf2", f"{PAGE} is not what the lock files say")


def _other_font(copy: Path, chosen: random.Random) -> Broken:
    path = copy / "infrastructure/export/k9_fonts/DejaVuSans.ttf"
    content = bytearray(path.read_bytes())
    content[chosen.randrange(len(content))] ^= 1
    path.write_bytes(content)
    return Broken("one bit of a font is another", f"{DEPLOYED} is not what the lock files say")


def _unknown_licence(copy: Path, chosen: random.Random) -> Broken:
    """A deployed package of a version whose metadata nobody has read."""
    path = copy / "requirements" / "core.txt"
    package = chosen.choice(read_lock(path))
    replaced(path, f"=={package.version}", f"=={package.version}.1")
    return Broken(f"{package.name} is deployed in an unknown version", "its licence is not known")


def _unknown_tool(copy: Path, chosen: random.Random) -> Broken:
    path = copy / "requirements" / chosen.choice(["checkov.txt", "schemathesis.txt", "template.txt"])
    package = chosen.choice(read_lock(path))
    replaced(path, f"=={package.version}", f"=={package.version}.1")
    return Broken(f"{path.name} has a tool in an unknown version", "its licence is not known")


def _refused_licence(copy: Path, chosen: random.Random) -> Broken:
    policy = copy / "scripts/supply/policy.toml"
    licence = chosen.choice(["GPL-3.0-only", "AGPL-3.0-or-later", "MIT AND GPL-2.0-only", "SSPL-1.0"])
    replaced(policy, 'licence = "MIT-0"', f'licence = "{licence}"')
    return Broken(f"aws-lambda-powertools has {licence}", f"{licence}, is none that policy.toml allows")


def _unexcepted(copy: Path, _: random.Random) -> Broken:
    replaced(copy / "scripts/supply/policy.toml", 'package = "fpdf2"', 'package = "fpdf3"')
    return Broken("fpdf2 is excepted no more", "LGPL-3.0-only, is none that policy.toml allows")


def _late(copy: Path, _: random.Random) -> Broken:
    last = max(passed.until for passed in read_exceptions(copy))
    return Broken("it is the day after an exception's last", f"ended on {last}")


def _without_record(copy: Path, chosen: random.Random) -> Broken:
    passed = chosen.choice(read_exceptions(copy))
    replaced(copy / "docs/security-exceptions.md", f"\n## {passed.id}", "\n## CVE-0000-0000")
    return Broken(f"{passed.id} has no section", "has no section of it that says")


def _without_test(copy: Path, chosen: random.Random) -> Broken:
    passed = chosen.choice(read_exceptions(copy))
    replaced(copy / "tests/security/test_tokens.py", f"class {passed.test.rpartition('::')[2]}", "class TestOfNothing")
    return Broken(f"the test of {passed.id} is gone", f"there is no test {passed.test}")


def _of_another_version(copy: Path, chosen: random.Random) -> Broken:
    passed = chosen.choice(read_exceptions(copy))
    replaced(copy / ".audit.toml", f'version = "{passed.version}"', 'version = "0.1"')
    return Broken(f"the exception for {passed.package} is for 0.1", "is locked no more")


_INSTALLER = "a hash that the installer refuses"
_BREAKAGES: dict[str, tuple[Callable[[Path, random.Random], Broken], Callable[[Path, Installed], list[str]]]] = {
    "hashes taken out": (_unhashed, _locks),
    "a hash changed": (_other_hash, _list_of_tools),
    "a hash changed in one of several files": (_one_hash, _locks),
    "a package added": (_stranger, _locks),
    "a package added under a pretext": (_pretender, _locks),
    "a version not locked": (_unasked_version, _locks),
    "a line that is no lock": (_strange_line, _locks),
    "an npm package without integrity": (_without_integrity, _locks),
    "an install without hashes": (_unlocked_install, _locks),
    "a list out of date": (_outdated, _list_of_deployed),
    "a page of licences out of date": (_outdated_page, _list_of_deployed),
    "a font changed": (_other_font, _list_of_deployed),
    "a licence unknown": (_unknown_licence, _licences),
    "a tool's licence unknown": (_unknown_tool, _licences),
    "a licence outside the policy": (_refused_licence, _licences),
    "an exception of licence withdrawn": (_unexcepted, _licences),
    "an exception past its date": (_late, _exceptions),
    "an exception without a record": (_without_record, _records),
    "an exception without a test": (_without_test, _records),
    "an exception for another version": (_of_another_version, _records),
}
BREAKAGES = (*_BREAKAGES, _INSTALLER)
