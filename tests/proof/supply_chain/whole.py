"""The project as it is: nothing is wrong with it."""

import gzip
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from scripts.supply.checks import Checks
from scripts.supply.exceptions import check_exceptions
from scripts.supply.installed import Installed
from scripts.supply.licences import Policy
from scripts.supply.locked import check_locks, npm_packages, read_locks
from scripts.supply.sbom import ENVIRONMENTS, FILES, ROOT, installed_in, inventory_of, stale, valid, written
from tests.proof.outcome import Outcome

_BUNDLES = "infrastructure/documentation/swagger_ui/swagger-ui-bundle-*.js.gz"


@cache
def installed() -> Installed:
    return installed_in(ROOT / name for name in ENVIRONMENTS)


def look_at_project(outcome: Outcome) -> None:
    packages, locks = installed(), read_locks(ROOT)
    inventory = inventory_of(ROOT, packages)
    documents, checks = written(ROOT, inventory, FILES), inventory.check()
    checks.add([check_locks(ROOT, packages.requires), stale(ROOT, documents), valid(documents)])
    checks.add([check_exceptions(ROOT, datetime.now(UTC).date(), locks), _check_bundle(ROOT, outcome)])
    outcome.cases += checks.made
    outcome.violations += [f"{fault} (scripts/sbom.sh --check, or the suite again)" for fault in checks.faults]
    outcome.figures["locked packages"] = (
        f"{len({one.pinned for of in locks.values() for one in of})} of Python in {len(locks)} files,"
        f" {len(npm_packages(ROOT))} of npm in one"
    )


def _check_bundle(root: Path, outcome: Outcome) -> Checks:
    """The version of Swagger UI that policy.toml states is that of the file: no metadata say it."""
    checks = Checks()
    (stated,) = [file.version for file in Policy.read(root).files if file.name == "swagger-ui-dist"]
    bundles = list(root.glob(_BUNDLES))
    for bundle in bundles:
        checks.hold(
            f'PACKAGE_VERSION:"{stated}"'.encode() in gzip.decompress(bundle.read_bytes()),
            f"{bundle.relative_to(root)} is not Swagger UI {stated}, which scripts/supply/policy.toml states",
        )
    outcome.figures["Swagger UI's stated version"] = "compared with the bundle" if bundles else "no bundle here"
    return checks
