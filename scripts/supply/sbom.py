"""Writes `docs/sbom/` and `docs/LICENSES.md`, or says whether they are what the lock files say: `scripts/sbom.sh`."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from scripts.supply.bom import deployed_bom, licences_in, schema_fault, tools_bom
from scripts.supply.checks import Checks
from scripts.supply.installed import Installed, site_packages
from scripts.supply.inventory import Inventory, take
from scripts.supply.listing import page
from scripts.supply.locks import LockError

ROOT = Path(__file__).parents[2]
DEPLOYED = Path("docs/sbom/deployed.cdx.json")
TOOLS = Path("docs/sbom/tools.cdx.json")
PAGE = Path("docs/LICENSES.md")
_WRITERS: dict[Path, Callable[[Inventory, Path], str]] = {
    DEPLOYED: deployed_bom,
    TOOLS: tools_bom,
    PAGE: lambda inventory, _: page(inventory),
}
FILES = tuple(_WRITERS)
ENVIRONMENTS = (
    ".venv",
    ".venv-store",
    ".venv-template",
    ".venv-deploy",
    ".venv-schemathesis",
    ".venv-bench",
    ".venv-supply",
    ".venv-fuzz",
    ".tools/checkov",
    ".tools/uv",
)
"""Where packages are installed: between them they have every locked one but those for other systems."""


def main(arguments: Sequence[str]) -> int:
    asked = _arguments(arguments)
    installed = installed_in([*(ROOT / name for name in ENVIRONMENTS), *asked.environment])
    try:
        inventory = inventory_of(ROOT, installed)
    except LockError as exc:
        print(f"sbom.sh: requirements/{exc}", file=sys.stderr)
        return 1
    documents, checks = written(ROOT, inventory, FILES), inventory.check()
    checks.add([valid(documents)])
    if asked.check:
        checks.add([stale(ROOT, documents)])
    elif not checks.faults:
        _write(documents)
    for fault in checks.faults:
        print(f"sbom.sh: {fault}", file=sys.stderr)
    return 1 if checks.faults else 0


def installed_in(environments: Iterable[Path]) -> Installed:
    return Installed(folder for environment in environments for folder in site_packages(environment))


def inventory_of(root: Path, installed: Installed) -> Inventory:
    """Raises LockError."""
    committed = root / TOOLS
    recorded = licences_in(committed.read_text(encoding="utf-8")) if committed.exists() else {}
    return take(root, installed, recorded)


def written(root: Path, inventory: Inventory, paths: Iterable[Path]) -> dict[Path, str]:
    """What each of the files has to say."""
    return {path: _WRITERS[path](inventory, root) for path in paths}


def valid(documents: Mapping[Path, str]) -> Checks:
    checks = Checks()
    for path in (DEPLOYED, TOOLS):
        fault = schema_fault(documents[path])
        checks.hold(not fault, f"{path} breaks CycloneDX's schema: {fault}")
    return checks


def stale(root: Path, documents: Mapping[Path, str]) -> Checks:
    checks = Checks()
    for path, text in documents.items():
        there = (root / path).read_text(encoding="utf-8") if (root / path).exists() else ""
        checks.hold(there == text, f"{path} is not what the lock files say: run scripts/sbom.sh")
    return checks


def _write(documents: Mapping[Path, str]) -> None:
    for path, text in documents.items():
        (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
        (ROOT / path).write_text(text, encoding="utf-8")


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="sbom.sh",
        description=f"Write {DEPLOYED}, {TOOLS} and {PAGE} from the lock files; ends with 1 where a licence is not"
        " known, or is none that scripts/supply/policy.toml allows for what is deployed.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing, and fail where a file is out of date")
    parser.add_argument(
        "--environment",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="a further virtual environment whose packages say their licences",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
