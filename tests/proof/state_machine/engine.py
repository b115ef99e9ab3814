"""The engines: moto in this process, and the embedded store as a process; each example has tables and a bucket anew."""

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote, urlsplit

import boto3
from botocore.loaders import create_loader

from scripts.building.swagger_ui import ensure_swagger_ui
from shared.database.sdk_data import OneServiceLoader
from shared.process import renew
from shared.similarity.objects import default_objects
from tests.support.emulated import moto_in_turns
from tests.support.environment import function_environment
from tests.support.forms import send_form
from tests.support.stack import running_store
from tests.support.tables import create_tables

from .violation import require

NAMES = ("moto", "ministack")


@dataclass(frozen=True)
class Engine:
    """One engine; `endpoint` None is moto, in this process."""

    name: str
    endpoint: str | None = None

    @property
    def is_in_process(self) -> bool:
        return self.endpoint is None

    @contextmanager
    def opened(self, example: int) -> Iterator[None]:
        """Tables and a bucket of this example's own, and the environment that names them."""
        with ExitStack() as stack:
            if self.is_in_process:
                stack.enter_context(moto_in_turns())
            stack.enter_context(patch.dict(os.environ, self._environment(f"sm{example}")))
            renew()
            create_tables(_dynamodb(self.endpoint), f"sm{example}")
            objects = default_objects()
            objects.client.create_bucket(Bucket=objects.settings.similarity_bucket)
            yield
        renew()

    def _environment(self, name: str) -> dict[str, str]:
        variables = {key: value.replace("-test", f"-{name}") for key, value in function_environment().items()}
        endpoint = self.endpoint or ""
        addresses = {"AWS_ENDPOINT_URL_DYNAMODB": endpoint, "AWS_ENDPOINT_URL_S3": endpoint}
        return {**variables, **addresses, "WORKER_FUNCTION": "k9-worker"}

    def send_upload(self, url: str, fields: dict[str, str], body: bytes) -> None:
        """What a browser does with a form. Nothing opens a socket with moto, which has no form's address."""
        if self.is_in_process:
            default_objects().put(fields["key"], body, media_type=fields["Content-Type"])
            return
        answer = send_form(url, fields, body)
        require(answer.status in (200, 201, 204), "the store refuses a form of ours:", answer)

    def fetch(self, url: str) -> bytes:
        """The object that a presigned address leads to."""
        path = unquote(urlsplit(url).path).lstrip("/")
        bucket = default_objects().settings.similarity_bucket
        stored = default_objects().get(path.removeprefix(f"{bucket}/"))
        require(stored, "there is nothing at an address that an answer gave")
        return stored.body if stored else b""


@contextmanager
def running(name: str, folder: Path) -> Iterator[Engine]:
    """The engine of this name, its own files below `folder`; the SDK's data files are read once for all clients."""
    sys.path.append(str(ensure_swagger_ui()))  # as a layer is on a function's path
    with ExitStack() as stack:
        stack.enter_context(patch("botocore.session.create_loader", lru_cache(create_loader)))
        stack.enter_context(patch("shared.database.client.OneServiceLoader", lru_cache(OneServiceLoader)))
        if name == "moto":
            yield Engine(name)
        else:
            yield Engine(name, stack.enter_context(running_store(folder, environment=None)).endpoint)


@lru_cache
def _dynamodb(endpoint: str | None) -> Any:
    return boto3.client("dynamodb", endpoint_url=endpoint, region_name="us-east-1")
