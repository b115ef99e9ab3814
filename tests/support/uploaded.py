"""What deploy.sh uploads, by the real sam, unpacked as Lambda unpacks it: code into /var/task, layers into /opt."""

import io
import os
import subprocess
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.building.artifacts import Artifact
from scripts.local.cloudformation import parse
from scripts.local.folder import PROJECT
from tests.template.emulator import Emulator


@dataclass(frozen=True)
class Upload:
    """One deployment as far as the change set: the template that was uploaded, and every archive that it names."""

    said: str
    document: dict[str, Any]
    archives: Mapping[str, bytes]
    folder: Path

    def functions(self) -> dict[str, Artifact]:
        """Every function, unpacked."""
        resources = self.document["Resources"]
        layers = {
            name: self._unpacked(body["Properties"]["ContentUri"], name)
            for name, body in resources.items()
            if body["Type"] == "AWS::Serverless::LayerVersion"
        }
        shared = self.document["Globals"]["Function"]["Layers"]
        return {
            name: Artifact(
                name,
                body["Properties"]["Handler"],
                self._unpacked(body["Properties"]["CodeUri"], "code"),
                tuple(layers[layer["Ref"]] for layer in [*shared, *body["Properties"].get("Layers", [])]),
            )
            for name, body in resources.items()
            if body["Type"] == "AWS::Serverless::Function"
        }

    def _unpacked(self, address: str, name: str) -> Path:
        folder = self.folder / name
        if not folder.exists():
            with zipfile.ZipFile(io.BytesIO(self.archives[address])) as archive:
                archive.extractall(folder)
        return folder


def dry_run(emulator: Emulator, folder: Path) -> Upload:
    """`deploy.sh --dry-run` of an environment that there is not yet, with a pool of its own."""
    done = subprocess.run(
        [PROJECT / "scripts" / "deploy.sh", "--environment", "dev", "--dry-run", "--yes"],
        env=_environment(emulator, folder),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    objects = _objects(emulator)
    (template,) = (body for address, body in objects.items() if address.endswith(".template"))
    archives = {address: body for address, body in objects.items() if not address.endswith(".template")}
    return Upload(done.stderr, parse(template.decode()), archives, folder / "unpacked")


def _environment(emulator: Emulator, folder: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "K9_BUILD_DIR": str(folder / "build"),
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _objects(emulator: Emulator) -> dict[str, bytes]:
    """Everything in every bucket, by the address that a template gives."""
    s3 = emulator.client("s3")
    return {
        f"s3://{bucket['Name']}/{found['Key']}": s3.get_object(Bucket=bucket["Name"], Key=found["Key"])["Body"].read()
        for bucket in s3.list_buckets()["Buckets"]
        for found in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", [])
    }
