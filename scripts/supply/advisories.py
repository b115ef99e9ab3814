"""Asks for known advisories: pip-audit for Python's packages, npm for those of the tests' servers.

pip-audit says "no known vulnerabilities" of a service that knows none, and npm of a registry that answers with nothing.
Hence a package whose advisories are known to everybody is asked for first: only a service that reports it was asked.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.supply.locks import Locked

CANARY = ("pyjwt", "2.3.0", "CVE-2022-29217")
"""https://github.com/jpadilla/pyjwt/security/advisories/GHSA-ffqj-6fqr-9h24, fixed in 2.4.0."""

NPM_CANARY = ("lodash", "4.17.4", "GHSA-jf85-cpcp-j695")
"""https://github.com/advisories/GHSA-jf85-cpcp-j695, fixed in 4.17.12."""

_SKIPPED = re.compile(r"^ERROR:pip_audit\._cli:(?P<name>[\w.-]+): (?P<reason>.+)$", re.MULTILINE)
_PATIENCE_SECONDS = 600
_LAST = 300
"""Characters of what a program said last."""


class CouldNotAskError(Exception):
    """The service is out of reach, or knows of no advisory at all."""


class NotLookedUpError(Exception):
    """The service does not know a package, so nothing was said of it, nor of those after it."""


@dataclass(frozen=True, slots=True)
class Advisory:
    package: str
    version: str
    ids: tuple[str, ...]
    """All names that it has: CVE, GHSA, PYSEC."""

    remedy: str

    def __str__(self) -> str:
        return f"{self.package} {self.version}: {', '.join(self.ids)} ({self.remedy})"


def ask_python(packages: Iterable[Locked], environ: Mapping[str, str]) -> list[Advisory]:
    """Every version of every package, whatever its marker. Raises CouldNotAskError and NotLookedUpError."""
    with tempfile.TemporaryDirectory() as folder:
        groups = _groups({(one.name, one.version) for one in packages})
        found = [one for group in groups for one in _pip_audit(group, Path(folder), environ)]
    heard = [one for one in found if (one.package, one.version) == CANARY[:2]]
    if not any(CANARY[2] in one.ids for one in heard):
        raise CouldNotAskError(f"the service does not report {CANARY[2]} of {CANARY[0]} {CANARY[1]}, which is known")
    return [one for one in found if one not in heard]


def _groups(pinned: set[tuple[str, str]]) -> list[list[tuple[str, str]]]:
    """pip-audit takes one version of a package at a time. The first of all is the one whose advisory is known."""
    versions: dict[str, list[str]] = defaultdict(list)
    for name, version in [CANARY[:2], *sorted(pinned - {CANARY[:2]})]:
        versions[name].append(version)
    rounds = max(map(len, versions.values()))
    return [[(name, of[turn]) for name, of in versions.items() if turn < len(of)] for turn in range(rounds)]


def _pip_audit(group: Iterable[tuple[str, str]], folder: Path, environ: Mapping[str, str]) -> list[Advisory]:
    listed = folder / "packages.txt"
    listed.write_text("".join(f"{name}=={version}\n" for name, version in group), encoding="utf-8")
    options = ["--strict", "--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    what = ["--requirement", str(listed), "--cache-dir", str(folder / "cache")]
    done = _run([sys.executable, "-m", "pip_audit", *options, *what], folder, environ)
    if done.returncode == 0:
        return []
    if done.stdout.strip():
        return [_of_python(one, advisory) for one in _loaded(done)["dependencies"] for advisory in one["vulns"]]
    skipped = _SKIPPED.search(done.stderr)
    if skipped and skipped["name"] != CANARY[0]:
        raise NotLookedUpError(skipped["reason"])
    raise CouldNotAskError(skipped["reason"] if skipped else _last(done.stderr))


def _of_python(package: Mapping[str, Any], advisory: Mapping[str, Any]) -> Advisory:
    fixed = ", ".join(advisory["fix_versions"])
    names = tuple(sorted({advisory["id"], *advisory["aliases"]}))
    return Advisory(package["name"], package["version"], names, f"fixed in {fixed}" if fixed else "no fixed release")


def ask_npm(lock: Path, environ: Mapping[str, str]) -> list[Advisory]:
    """Raises CouldNotAskError."""
    name, version, known = NPM_CANARY
    document = json.loads(lock.read_text(encoding="utf-8"))
    if f"node_modules/{name}" in document["packages"]:
        raise CouldNotAskError(f"{lock.name} itself has {name}: take another package to ask for first")
    document["packages"][f"node_modules/{name}"] = {"version": version}
    document["packages"][""]["dependencies"][name] = version
    reported = _npm_audit(document, lock, environ)
    versions = _versions(document["packages"])
    found = [_of_npm(one, versions) for of in reported.values() for one in of["via"] if isinstance(one, dict)]
    if not any(known in one.ids for one in found):
        raise CouldNotAskError(f"the registry does not report {known} of {name} {version}, which is known")
    return [one for one in found if one.package != name]


def _npm_audit(document: Mapping[str, Any], lock: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """In a folder of its own, so that nothing is written into the project."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copyfile(lock.with_name("package.json"), Path(folder, "package.json"))
        Path(folder, lock.name).write_text(json.dumps(document), encoding="utf-8")
        done = _run(["npm", "audit", "--json", "--package-lock-only"], Path(folder), environ)
    told = _loaded(done)
    if "vulnerabilities" not in told:
        raise CouldNotAskError(_last(told.get("message", done.stdout)))
    reported: dict[str, Any] = told["vulnerabilities"]
    return reported


def _versions(packages: Mapping[str, Mapping[str, Any]]) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = defaultdict(set)
    for path, package in packages.items():
        versions[path.rpartition("node_modules/")[2]].add(package.get("version", ""))
    return versions


def _of_npm(advisory: Mapping[str, Any], versions: Mapping[str, set[str]]) -> Advisory:
    name = advisory["name"]
    ids = (advisory["url"].rpartition("/")[2],)
    return Advisory(name, ", ".join(sorted(versions[name])), ids, f"{advisory['title']}, in {advisory['range']}")


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **environ},
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as exc:
        raise CouldNotAskError(f"{command[0]} took more than {_PATIENCE_SECONDS} s") from exc


def _loaded(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError as exc:
        raise CouldNotAskError(_last(done.stderr)) from exc
    return told


def _last(said: str) -> str:
    return " ".join(said.split())[-_LAST:] or "it said nothing"
