"""The engines that the contract tests run on: three implementations of the DynamoDB protocol, alike or named as unlike.

moto runs in this process; ministack is the laptop stack's own store; dynoxide, a static binary, is the strictest.
"""

import contextlib
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import boto3

from scripts.local import store as local_store
from scripts.local.folder import PROJECT, LocalFolder
from scripts.local.ports import free_port
from shared.config import Settings
from shared.database import DatabaseManager
from tests.support.emulated import moto_in_turns
from tests.support.environment import function_environment
from tests.support.tables import create_tables

NAMES = ("moto", "ministack", "dynoxide")
DYNOXIDE = PROJECT / ".tools" / "node_modules" / "@dynoxide" / "linux-x64" / "dynoxide"
_START_SECONDS = 20


@dataclass(frozen=True)
class Engine:
    """A running engine with the template's tables; `endpoint` None is moto."""

    name: str
    endpoint: str | None
    environment: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:12]}")

    def manager(self, endpoint: str | None = None) -> DatabaseManager:
        """A manager of its own, through `endpoint` (a proxy, say) where one is given."""
        return DatabaseManager(self.settings(endpoint or self.endpoint))

    def settings(self, endpoint: str | None) -> Settings:
        names = function_environment()
        tables = {name: value.replace("-test", f"-{self.environment}") for name, value in names.items()}
        if endpoint:
            tables["AWS_ENDPOINT_URL_DYNAMODB"] = endpoint
        return Settings(MappingProxyType(tables))

    def create_tables(self) -> None:
        create_tables(boto3.client("dynamodb", endpoint_url=self.endpoint), self.environment)


@contextmanager
def moto_engine() -> Iterator[Engine]:
    with moto_in_turns():
        yield _with_tables(Engine("moto", None))


@contextmanager
def ministack_engine(folder: Path) -> Iterator[Engine]:
    store = local_store.start(LocalFolder(folder), port=free_port())
    try:
        yield _with_tables(Engine("ministack", store.endpoint))
    finally:
        store.stop()


@contextmanager
def dynoxide_engine() -> Iterator[Engine]:
    port = free_port()
    process = subprocess.Popen(
        [DYNOXIDE, "serve", "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port, process)
        yield _with_tables(Engine("dynoxide", f"http://127.0.0.1:{port}"))
    finally:
        process.terminate()
        process.wait()


def _with_tables(engine: Engine) -> Engine:
    engine.create_tables()
    return engine


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{DYNOXIDE} ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"{DYNOXIDE} does not answer on port {port}")
