"""The inventory as CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/): the same bytes for the same lock files.

Hence without a moment and without a random serial number. A line for each component, so that a change shows as one.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from scripts.supply.inventory import Inventory, Package
from scripts.supply.licences import File, is_spdx
from scripts.supply.sources import digest_of, version_of

_LICENCES = LicenseFactory()
_ALGORITHMS = {"pypi": HashAlgorithm.SHA_256, "npm": HashAlgorithm.SHA_512}


def deployed_bom(inventory: Inventory, root: Path) -> str:
    """The application, its layers, their packages with the hashes of the files that may be installed, and files."""
    bom, application = _bom(root, "k9-api", "what is deployed")
    packages = {name: _component(package, "layer") for name, package in inventory.deployed.items()}
    files = {file.name: _file(file, root) for file in inventory.policy.files}
    layers = {name: Component(name=f"layer {name}", bom_ref=f"layer:{name}") for name in inventory.roots}
    bom.components.update([*packages.values(), *files.values(), *layers.values()])
    bom.register_dependency(application, layers.values())
    for name, layer in layers.items():
        held = [packages[root] for root in inventory.roots[name]]
        held += [files[file.name] for file in inventory.policy.files if file.layer == name and not file.within]
        bom.register_dependency(layer, held)
    for name, package in inventory.deployed.items():
        taken = [files[file.name] for file in inventory.policy.files if file.within == name]
        bom.register_dependency(packages[name], [*(packages[need] for need in package.needs), *taken])
    return _text(bom)


def tools_bom(inventory: Inventory, root: Path) -> str:
    """The lock files by their digests, which stand for the hashes in them, and what each of them locks."""
    bom, project = _bom(root, "k9-api-tools", "what tests, builds and deployments take")
    locks = {path: _lock(path, digest) for path, digest in inventory.locks.items()}
    packages = {package.purl: _component(package, "lock") for package in inventory.tools}
    bom.components.update([*locks.values(), *packages.values()])
    bom.register_dependency(project, locks.values())
    for path, lock in locks.items():
        bom.register_dependency(lock, [packages[one.purl] for one in inventory.tools if path in one.of])
    return _text(bom)


def schema_fault(text: str) -> str:
    """What CycloneDX's own schema has against it; "" if nothing."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    return "" if error is None else str(error)[:300]


def licences_in(text: str) -> Mapping[str, str]:
    """The licences of a document's packages, by purl."""
    found = {}
    for component in json.loads(text).get("components", []):
        if "purl" in component and component.get("licenses"):
            first = component["licenses"][0]
            found[component["purl"]] = first.get("expression") or next(
                first["license"][key] for key in ("id", "name") if key in first["license"]
            )
    return found


def _bom(root: Path, name: str, description: str) -> tuple[Bom, Component]:
    subject = Component(
        name=name,
        version=version_of(root),
        type=ComponentType.APPLICATION,
        description=description,
        licenses=_licences("MIT"),
        bom_ref=name,
    )
    metadata = BomMetaData(component=subject)
    bom = Bom(metadata=metadata)
    # A moment would make each run another document.
    metadata.timestamp = None
    return bom, subject


def _component(package: Package, property_name: str) -> Component:
    return Component(
        name=package.name,
        version=package.version,
        purl=PackageURL.from_string(package.purl),
        bom_ref=package.purl,
        licenses=_licences(package.licence),
        hashes=[HashType(alg=_ALGORITHMS[package.ecosystem], content=digest) for digest in package.hashes],
        properties=[Property(name=f"k9:{property_name}", value=value) for value in package.of],
    )


def _file(file: File, root: Path) -> Component:
    return Component(
        name=file.name,
        version=file.version,
        type=ComponentType.FILE if file.path else ComponentType.LIBRARY,
        purl=PackageURL.from_string(file.purl) if file.purl else None,
        bom_ref=f"file:{file.name}",
        licenses=_licences(file.licence),
        hashes=_hashes(digest_of(root / file.path)) if file.path else (),
        properties=[Property(name="k9:layer", value=file.layer)],
    )


def _lock(path: str, digest: str) -> Component:
    return Component(name=path, type=ComponentType.FILE, bom_ref=f"lock:{path}", hashes=_hashes(digest))


def _hashes(digest: str) -> Iterable[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=digest)]


def _licences(text: str) -> Iterable[Any]:
    if not text:
        return []
    made = _LICENCES.make_from_string(text) if is_spdx(text) else _LICENCES.make_with_name(text)
    made.acknowledgement = LicenseAcknowledgement.DECLARED
    return [made]


def _text(bom: Bom) -> str:
    """In the library's order. The serial number is derived from everything else."""
    document: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    document.pop("serialNumber")
    document["serialNumber"] = uuid5(NAMESPACE_URL, json.dumps(document, sort_keys=True)).urn
    lists = {"components", "dependencies"}
    members = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in document.items() if name not in lists]
    members += [_lines(name, document[name]) for name in sorted(lists)]
    return "{\n" + ",\n".join(members) + "\n}\n"


def _lines(name: str, values: list[Any]) -> str:
    return f'  "{name}": [\n' + ",\n".join(f"    {json.dumps(value)}" for value in values) + "\n  ]"
