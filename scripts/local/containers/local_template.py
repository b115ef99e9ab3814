"""The built template as `sam local` runs it: every function with its variables stated and its layers beside its code.

sam makes an image of each function with layers, at every start anew, which takes some five seconds a function. So a
layer's packages are put where the code is: Python looks there first in either case, and a function without a layer
still cannot import what is in it.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.building.artifacts import Architecture, Artifact, Artifacts


def write_local_template(
    artifacts: Artifacts, architecture: Architecture, folder: Path, variables: Mapping[str, str]
) -> Path:
    """Makes `folder` anew and gives the path of the template in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    roots = dict(_roots(artifacts, folder))
    document = artifacts.template.document
    document["Globals"]["Function"] |= {"Environment": {"Variables": dict(variables)}, "Layers": []}
    # Containers of the engine's own processor, whatever the parameter's default is.
    document["Globals"]["Function"]["Architectures"] = [architecture]
    kept = {name: _local(body, roots.get(name)) for name, body in document["Resources"].items() if _is_run(body)}
    # What is left has no references but to what is left out: sam needs routes and functions alone.
    path = folder / "template.json"
    path.write_text(json.dumps({**document, "Resources": kept, "Outputs": {}, "Rules": {}}), encoding="utf-8")
    return path


def _is_run(body: Mapping[str, Any]) -> bool:
    return body["Type"] in ("AWS::Serverless::Function", "AWS::Serverless::HttpApi")


def _local(body: dict[str, Any], root: Path | None) -> dict[str, Any]:
    properties = {name: value for name, value in body["Properties"].items() if name not in ("Layers", "Role")}
    if "Environment" in properties:
        # What refers to resources is not for here: such variables are among those that are stated for all, or unset.
        stated = properties["Environment"]["Variables"].items()
        plain = {name: value for name, value in stated if not isinstance(value, dict)}
        properties["Environment"] = {"Variables": plain}
    return {"Type": body["Type"], "Properties": {**properties, **({"CodeUri": str(root)} if root else {})}}


def _roots(artifacts: Artifacts, folder: Path) -> Iterator[tuple[str, Path]]:
    """One root for all functions with the same layers."""
    for artifact in artifacts.functions():
        root = folder / ("-".join(layer.name for layer in artifact.layers) or "code")
        if not root.exists():
            _merge(artifact, root)
        yield artifact.function, root


def _merge(artifact: Artifact, root: Path) -> None:
    """Hard links where there can be any: nothing is copied, and a container needs to mount this one folder."""
    for source in artifact.path:
        shutil.copytree(source, root, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    Path(target).unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)
