"""CloudFormation of the embedded store: a process of its own that keeps nothing, beside what dev.sh starts of it."""

import copy
import io
import json
import os
import socket
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from scripts.local.clients import DUMMY_KEY
from scripts.local.folder import PROJECT
from scripts.local.ports import free_port
from scripts.local.store import INTERPRETER, REGION
from tests.template.transformed import transform

STACK = "k9-api-dev"
_START_SECONDS = 30.0
_DEPLOY_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator."""

    endpoint: str

    def client(self, service: str) -> Any:
        return boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=DUMMY_KEY,
            aws_secret_access_key=DUMMY_KEY,
        )

    def stacks(self) -> list[dict[str, Any]]:
        """Those that there are; one that is under review is none yet."""
        found: list[dict[str, Any]] = self.client("cloudformation").describe_stacks()["Stacks"]
        return [stack for stack in found if stack["StackStatus"] != "REVIEW_IN_PROGRESS"]

    def deploy(self, parameters: Mapping[str, str], name: str = STACK) -> dict[str, Any]:
        """The stack when CloudFormation is done with it. Raises ClientError where it does not even begin."""
        self._upload()
        cloudformation = self.client("cloudformation")
        cloudformation.create_stack(
            StackName=name,
            TemplateURL=f"{self.endpoint}/bucket/template",
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        deadline = time.monotonic() + _DEPLOY_SECONDS
        while time.monotonic() < deadline:
            found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            if not found["StackStatus"].endswith("_IN_PROGRESS"):
                return found
            time.sleep(0.2)
        raise TimeoutError(f"{name} is not made after {_DEPLOY_SECONDS:.0f} s")

    def _upload(self) -> None:
        s3 = self.client("s3")
        s3.create_bucket(Bucket="bucket")
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as code:
            code.writestr("handlers/__init__.py", "")
        for key, body in (("code", archive.getvalue()), ("layer", archive.getvalue()), ("template", _template())):
            s3.put_object(Bucket="bucket", Key=key, Body=body)


def _template() -> bytes:
    """SAM's output without what the emulator does not know: mathematics in alarms, and what shows those alarms."""
    document = copy.deepcopy(transform())
    resources = document["Resources"]
    for name in [name for name, body in resources.items() if _is_unknown(body)]:
        del resources[name]
    del document["Outputs"]["DashboardUrl"]
    return json.dumps(document).encode()


def _is_unknown(body: Mapping[str, Any]) -> bool:
    if body["Type"] == "AWS::CloudWatch::Alarm":
        return "Metrics" in body["Properties"]
    return body["Type"] in ("AWS::CloudWatch::Dashboard", "AWS::Budgets::Budget")


@contextmanager
def running_emulator(folder: Path, *, knows_sam: bool = False) -> Iterator[Emulator]:
    """`knows_sam`: it takes SAM's own templates, by the transform of requirements/template.txt."""
    port = free_port()
    environment = {**_environment(folder, port), **({"PYTHONPATH": _transform_packages()} if knows_sam else {})}
    with (folder / "emulator.log").open("wb") as log:
        process = subprocess.Popen(
            [INTERPRETER, "-m", "ministack"],
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait(process, port)
        yield Emulator(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(30)


def _transform_packages() -> str:
    (packages,) = (PROJECT / ".venv-template" / "lib").glob("python3*/site-packages")
    return str(packages)


def _environment(folder: Path, port: int) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "LC_ALL": "C.UTF-8",
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "PERSIST_STATE": "0",
        "MINISTACK_REGION": REGION,
        "AWS_ACCESS_KEY_ID": DUMMY_KEY,
        "AWS_SECRET_ACCESS_KEY": DUMMY_KEY,
        "AWS_EC2_METADATA_DISABLED": "true",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder}/no-docker.sock",
    }


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("the emulator did not start")
