"""Whether the lock files are whole: every package pinned and hashed, asked for, and the same wherever it is locked."""

import json
import re
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import Any

from scripts.supply.checks import Checks
from scripts.supply.locks import Locked, LockError, read_input, read_lock, unasked

Requires = Callable[[str, str], set[str] | None]
"""What a package of a name and version asks for by its own metadata; None where that is not at hand."""

NPM_LOCK = Path("requirements/engines/package-lock.json")
_INTEGRITY = re.compile(r"sha512-[A-Za-z0-9+/]{86}==")
_SCRIPTS = (".ci/*", ".ci/*/*", "scripts/*.sh", "scripts/lib/*.sh", "benchmarks/*.sh")
_INSTALLS = re.compile(r"(pip\"? (install|download)|npm (install|i|ci|exec)\b|npx |uvx |pipx |curl .*https:|wget )")
_HASHED = re.compile(r"--require-hashes|npm ci\b")


def read_locks(root: Path) -> dict[str, list[Locked]]:
    """Every lock file of Python's packages, by name. Raises LockError."""
    return {path.name: read_lock(path) for path in sorted((root / "requirements").glob("*.txt"))}


def check_locks(root: Path, requires: Requires) -> Checks:
    """All that can be said of them without a network; the installers compare the hashes."""
    checks = Checks()
    folder = root / "requirements"
    inputs, locks = ({path.stem for path in folder.glob(f"*.{ending}")} for ending in ("in", "txt"))
    for name in sorted(inputs ^ locks):
        checks.hold(False, f"requirements/{name}.in and {name}.txt belong together, and one of them is not there")
    read: dict[str, list[Locked]] = {}
    for name in sorted(inputs & locks):
        try:
            read[f"{name}.txt"] = read_lock(folder / f"{name}.txt")
            checks.add([_check_lock(name, read[f"{name}.txt"], read_input(folder / f"{name}.in"), requires)])
        except LockError as exc:
            checks.hold(False, f"requirements/{exc}")
    checks.add([_check_same(read), _check_npm(root), _check_scripts(root)])
    return checks


def _check_lock(name: str, packages: list[Locked], asked: dict[str, dict[str, str]], requires: Requires) -> Checks:
    checks, where = Checks(), f"requirements/{name}.txt"
    by_name = {package.name: package for package in packages}
    versions = {package.pinned for package in packages}
    for package in packages:
        checks.hold(bool(package.hashes), f"{where}: {package.pinned} has no hash: lock it anew")
        for source in package.via:
            if by := by_name.get(source):
                needs = requires(by.name, by.version)
                checks.hold(
                    needs is None or package.name in needs,
                    f"{where}: {package.name} is there for {by.pinned}, which does not ask for it",
                )
    for wanted, version in chain.from_iterable(names.items() for names in asked.values()):
        pinned = f"{wanted}=={version}" if version else wanted
        checks.hold(
            pinned in versions or (not version and wanted in by_name),
            f"{where}: {pinned}, which {name}.in asks for, is not locked: lock it anew",
        )
    strangers = {package.name for package in unasked(packages, asked)}
    for package in packages:
        checks.hold(package.name not in strangers, f"{where}: nobody asks for {package.pinned}: lock it anew")
    return checks


def _check_same(locks: dict[str, list[Locked]]) -> Checks:
    """A version has the same files, hence hashes, in whichever lock file it is."""
    checks = Checks()
    first: dict[str, tuple[str, set[str]]] = {}
    for file, packages in locks.items():
        for package in packages:
            other, hashes = first.setdefault(package.pinned, (file, package.hashes))
            checks.hold(
                hashes == package.hashes,
                f"requirements/{file}: {package.pinned} has other hashes than in {other}: find out which are right",
            )
    return checks


def _check_npm(root: Path) -> Checks:
    checks, where, packages = Checks(), NPM_LOCK.as_posix(), npm_packages(root)
    for path, package in packages.items():
        checks.hold(
            bool(_INTEGRITY.fullmatch(package.get("integrity", ""))),
            f"{where}: {path} has no SHA-512 that npm could hold it to: lock it anew",
        )
        named = {**package.get("dependencies", {}), **package.get("optionalDependencies", {})}
        for name in named:
            checks.hold(_is_in_reach(name, path, packages), f"{where}: {name} of {path} is not locked")
    asked = json.loads((root / NPM_LOCK).with_name("package.json").read_text(encoding="utf-8"))["dependencies"]
    for name, version in asked.items():
        locked = packages.get(f"node_modules/{name}", {}).get("version")
        checks.hold(locked == version, f"{where}: {name} {version}, which package.json asks for, is not locked")
    return checks


def npm_packages(root: Path) -> dict[str, dict[str, Any]]:
    """npm's packages by their folder: the first entry, which is the project itself, is left out."""
    packages: dict[str, dict[str, Any]] = json.loads((root / NPM_LOCK).read_text(encoding="utf-8"))["packages"]
    return {path: package for path, package in packages.items() if path}


def _is_in_reach(name: str, path: str, packages: Iterable[str]) -> bool:
    """Node.js looks beside the package and in every folder above."""
    parts = path.split("/node_modules/")
    folders = ["/node_modules/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    return any(f"{folder}/node_modules/{name}" in packages for folder in folders) or f"node_modules/{name}" in packages


def _check_scripts(root: Path) -> Checks:
    """No script installs anything but by hashes: each command is one line, or goes on behind a backslash."""
    checks = Checks()
    for path in sorted({path for pattern in _SCRIPTS for path in root.glob(pattern) if path.is_file()}):
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in text.splitlines():
            if not line.lstrip().startswith("#") and _INSTALLS.search(line):
                checks.hold(
                    bool(_HASHED.search(line)),
                    f"{path.relative_to(root)} installs without hashes: {line.strip()}",
                )
    return checks
