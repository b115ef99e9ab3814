"""Swagger UI, which the documentation page shows: three files of a pinned wheel, in a package that a layer carries.

    ensure_swagger_ui()      # infrastructure/documentation/swagger_ui/, unless it is there already

They are taken from PyPI, since a build needs Python and pip alone, and from a wheel that holds Swagger UI's own
distribution as npm has it. Nothing of the wheel is installed or run.
"""

import gzip
import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from scripts.building.artifacts import BUILDS, BuildError
from scripts.local import locks
from scripts.local.folder import PROJECT

REQUIREMENTS = PROJECT / "requirements" / "page.txt"
LAYER = PROJECT / "infrastructure" / "documentation"
"""The layer's folder: on Python's path, it has the package."""

_PACKAGE = "swagger_ui"
_STAMP = "origin.txt"
_IN_WHEEL = "drf_spectacular_sidecar/static/drf_spectacular_sidecar/swagger-ui-dist/"
_FILES = {
    "swagger-ui-bundle.js": "swagger-ui-bundle-{}.js",
    "swagger-ui.css": "swagger-ui-{}.css",
    # Whoever passes the code on passes its licence on (Apache License 2.0, section 4).
    "LICENSE": "swagger-ui-licence-{}.txt",
}
"""Which files, and what they are called here: a digest of the content in a name lets browsers keep it for good."""

_DIGITS = 16
_PATIENCE_SECONDS = 120
_LAST_LINES = 5


def ensure_swagger_ui() -> Path:
    """The layer's folder with the package in it, as the requirements pin it; a network is needed the first time alone.

    Raises BuildError.
    """
    if _is_there():
        return LAYER
    BUILDS.mkdir(parents=True, exist_ok=True)
    lock = locks.acquire(BUILDS / "swagger-ui.lock", patience=_PATIENCE_SECONDS)
    if lock is None:
        raise BuildError(f"Another process has been fetching Swagger UI for {_PATIENCE_SECONDS} s. End it.")
    try:
        if not _is_there():
            _make()
        return LAYER
    finally:
        lock.close()


def _is_there() -> bool:
    """The stamp is a copy of what was asked for; the package gets its name with all that is in it, or not at all."""
    stamp = LAYER / _PACKAGE / _STAMP
    return stamp.exists() and stamp.read_bytes() == REQUIREMENTS.read_bytes()


def _make() -> None:
    with tempfile.TemporaryDirectory(dir=BUILDS) as folder:
        wheel, package = _download(Path(folder) / "wheel"), Path(folder) / _PACKAGE
        package.mkdir()
        (package / "__init__.py").write_text('"""Swagger UI\'s files, compressed."""\n', encoding="utf-8")
        _extract(wheel, package)
        shutil.copyfile(REQUIREMENTS, package / _STAMP)
        shutil.rmtree(LAYER / _PACKAGE, ignore_errors=True)
        shutil.move(package, LAYER / _PACKAGE)


def _download(folder: Path) -> Path:
    """pip compares the wheel with the pinned hash before it keeps it."""
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:", "--require-hashes"]
    what = ["--requirement", str(REQUIREMENTS), "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
        raise BuildError(
            f"Swagger UI, for the documentation page, could not be fetched ({REQUIREMENTS.name}):\n{said}\n"
            "The first start needs a network or a package mirror; start again once it is there."
        )
    (wheel,) = folder.glob("*.whl")
    return wheel


def _extract(wheel: Path, package: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name, place in _FILES.items():
            try:
                content = archive.read(_IN_WHEEL + name)
            except KeyError as exc:
                raise BuildError(f"{wheel.name} has no {name} at {_IN_WHEEL}: adapt {Path(__file__).name}.") from exc
            digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
            # Without a time, the same bytes for the same content: a deployment of no change is none.
            (package / f"{place.format(digest)}.gz").write_bytes(gzip.compress(content, 9, mtime=0))
