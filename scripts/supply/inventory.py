"""What is deployed, in which layer, and what tools the rest takes: from the lock files, with each package's licence."""

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.markers import Marker

from scripts.supply.checks import Checks
from scripts.supply.installed import Installed
from scripts.supply.licences import Policy
from scripts.supply.locked import NPM_LOCK, npm_packages, read_locks
from scripts.supply.locks import Locked

# The runtime of every function (infrastructure/template.yaml), which markers are read for.
_RUNTIME = {
    "implementation_name": "cpython",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": "3.13.0",
    "python_version": "3.13",
    "sys_platform": "linux",
}
_INCLUDED = re.compile(r"^-r \.\./\.\./requirements/(\S+)$", re.MULTILINE)
_PIP = re.compile(r'"pip==(?P<version>\S+) --hash=sha256:(?P<digest>[0-9a-f]{64})"')
_ENVIRONMENTS = Path("scripts/lib/environment.sh")
_WHEEL_ONLY = {"documentation": "page.txt"}
"""A layer that holds files of a wheel, not packages (scripts/building/swagger_ui.py)."""


@dataclass(slots=True)
class Package:
    name: str
    version: str
    licence: str
    ecosystem: str = "pypi"
    hashes: list[str] = field(default_factory=list)
    """SHA-256 for Python's packages, SHA-512 for npm's, hexadecimal."""

    of: list[str] = field(default_factory=list)
    """Layers, of what is deployed, and else lock files."""

    needs: list[str] = field(default_factory=list)
    """Names of deployed packages that it asks for."""

    @property
    def purl(self) -> str:
        """https://github.com/package-url/purl-spec"""
        return f"pkg:{self.ecosystem}/{self.name.replace('@', '%40')}@{self.version}"


@dataclass(slots=True)
class Inventory:
    deployed: dict[str, Package]
    """By name: two layers with two versions of one would be a fault, as Python finds the first."""

    clashes: list[str]
    """Those faults."""

    tools: list[Package]
    roots: Mapping[str, list[str]]
    """By layer, the packages that its `.in` file names."""

    locks: Mapping[str, str]
    """Digests (SHA-256) of the lock files, by path."""

    policy: Policy

    def check(self) -> Checks:
        """Licences: of what is deployed by the policy, and of a tool that there is one."""
        checks = Checks(faults=list(self.clashes))
        for package in self.deployed.values():
            why = self.policy.refusal(package.name, package.licence)
            checks.hold(not why, f"{package.name} {package.version}, deployed: {why}")
        for file in self.policy.files:
            why = self.policy.refusal(file.name, file.licence)
            checks.hold(not why, f"{file.name}, deployed: {why}")
        for package in self.tools:
            checks.hold(
                bool(package.licence),
                f"{package.name} {package.version}, a tool: its licence is not known. Install its environment and run"
                " scripts/sbom.sh; if its metadata say nothing, read the licence and state it in policy.toml",
            )
        return checks


def take(root: Path, installed: Installed, recorded: Mapping[str, str]) -> Inventory:
    """`recorded` has the licences of tools that the last list knew, by purl: not every environment is on every machine.

    Raises LockError.
    """
    policy = Policy.read(root)
    locks = read_locks(root)
    layers = dict(_layers(root))
    deployed: dict[str, Package] = {}
    clashes: list[str] = []
    for layer, file in layers.items():
        for locked in _for_runtime(locks[file]):
            licence = _licence(locked, policy, installed)
            package = deployed.setdefault(locked.name, _package(locked, licence))
            package.of.append(layer)
            if package.version != locked.version:
                clashes.append(f"{locked.pinned} in layer {layer}, {package.version} in {package.of[0]}: make them one")
    for file in layers.values():
        _link(locks[file], deployed)
    roots = {layer: _roots(locks[file]) for layer, file in layers.items()}
    tools = _tools(root, locks, set(layers.values()), policy, installed, recorded)
    files = [f"requirements/{name}" for name in locks] + [NPM_LOCK.as_posix()]
    digests = {file: hashlib.sha256((root / file).read_bytes()).hexdigest() for file in files}
    return Inventory(deployed, clashes, tools, roots, digests, policy)


def _layers(root: Path) -> Iterator[tuple[str, str]]:
    """Each layer's name, which is its folder's, and its lock file."""
    for path in sorted((root / "infrastructure").glob("*/requirements.txt")):
        name = path.parent.name
        included = _INCLUDED.findall(path.read_text(encoding="utf-8"))
        yield from ((name, file) for file in included or [_WHEEL_ONLY[name]])


def _for_runtime(packages: Iterable[Locked]) -> Iterator[Locked]:
    return (one for one in packages if not one.marker or Marker(one.marker).evaluate(dict(_RUNTIME)))


def _package(locked: Locked, licence: str) -> Package:
    return Package(locked.name, locked.version, licence, hashes=sorted(locked.hashes))


def _link(packages: list[Locked], deployed: Mapping[str, Package]) -> None:
    for locked in packages:
        for source in locked.via:
            if source in deployed and locked.name not in deployed[source].needs:
                deployed[source].needs.append(locked.name)


def _roots(packages: list[Locked]) -> list[str]:
    return [one.name for one in packages if not one.via or any(source.startswith("-r ") for source in one.via)]


def _licence(locked: Locked, policy: Policy, installed: Installed) -> str:
    stated = policy.stated.get((locked.name, locked.version))
    return stated[0] if stated else installed.licence(locked.name, locked.version)


def _tools(
    root: Path,
    locks: Mapping[str, list[Locked]],
    of_layers: set[str],
    policy: Policy,
    installed: Installed,
    recorded: Mapping[str, str],
) -> list[Package]:
    found: dict[str, Package] = {}
    for file, packages in locks.items():
        for locked in packages if file not in of_layers else ():
            package = _package(locked, _licence(locked, policy, installed))
            package.licence = package.licence or recorded.get(package.purl, "")
            # Their hashes are in the lock files, whose own are listed.
            package.hashes.clear()
            found.setdefault(package.purl, package).of.append(f"requirements/{file}")
    for package in (_pip(root), *_npm(root, policy)):
        found[package.purl] = package
    return list(found.values())


def _pip(root: Path) -> Package:
    pinned = _PIP.search((root / _ENVIRONMENTS).read_text(encoding="utf-8"))
    assert pinned, f"{_ENVIRONMENTS} pins no pip by a hash"  # noqa: S101 - check_locks says it of every script
    return Package("pip", pinned["version"], "MIT", hashes=[pinned["digest"]], of=[_ENVIRONMENTS.as_posix()])


def _npm(root: Path, policy: Policy) -> Iterator[Package]:
    for path, package in npm_packages(root).items():
        name = path.rpartition("node_modules/")[2]
        algorithm, _, digest = package.get("integrity", "").partition("-")
        hashes = [base64.b64decode(digest).hex()] if algorithm == "sha512" else []
        stated = policy.stated.get((name, package["version"]))
        licence = stated[0] if stated else package.get("license", "")
        yield Package(name, package["version"], licence, "npm", hashes, [NPM_LOCK.as_posix()])
