"""How the front of containers is put together: what is told to sam, and what its functions are told."""

import contextlib
import json
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts.building.artifacts import Artifacts, BuildError
from scripts.local.containers import front, processes
from scripts.local.containers.engine import Bridge, Engine
from scripts.local.containers.front import Containers
from scripts.local.containers.processes import Order
from scripts.local.failure import LocalStackError
from scripts.local.folder import LocalFolder
from scripts.local.identity import Pool
from scripts.local.serving import Backend
from scripts.local.template import Template
from scripts.local.variables import local_deployment

POOL = Pool("us-east-1_Local", "client")
BRIDGE = Bridge(IPv4Address("172.17.0.1"), IPv4Network("172.17.0.0/16"))
IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
TEMPLATE = """
Globals: { Function: { Runtime: python3.13 } }
Resources: { Api: { Type: AWS::Serverless::HttpApi, Properties: {} } }
"""


class Scene:
    """Processes and relays that only tell what they were asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = LocalFolder(folder / "k9")
        self.folder.create()
        (folder / "x86_64").mkdir()
        (folder / "x86_64" / "template.yaml").write_text(TEMPLATE)
        self.artifacts = Artifacts(folder / "x86_64")
        self.orders: dict[str, tuple[Order, int]] = {}
        self.alive = {"start-api": True, "start-lambda": True}
        monkeypatch.setattr(front, "relayed", self.relayed)
        monkeypatch.setattr(front, "free_port", lambda: 4000)
        monkeypatch.setattr(processes, "running", self.running)

    @contextlib.contextmanager
    def relayed(self, bridge: Bridge, port: int) -> Iterator[int]:
        assert bridge == BRIDGE
        yield port + 10_000

    @contextlib.contextmanager
    def running(self, order: Order, verb: str, port: int) -> Iterator[Any]:
        self.orders[verb] = (order, port)
        yield _Process(self, verb, port)

    def backend(self) -> Backend:
        return Backend(
            Template.load(), local_deployment(POOL), POOL, "http://127.0.0.1:3011", 3001, self.folder, no_check
        )

    def variables(self) -> dict[str, str]:
        document = json.loads(self.orders["start-api"][0].template.read_text())
        variables: dict[str, str] = document["Globals"]["Function"]["Environment"]["Variables"]
        return variables


class _Process(SimpleNamespace):
    def __init__(self, scene: Scene, verb: str, port: int) -> None:
        super().__init__(port=port, log=Path(f"{verb}.log"), scene=scene, verb=verb)

    @property
    def alive(self) -> bool:
        return bool(self.scene.alive[self.verb])


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def engine(bridge: Bridge | None = BRIDGE) -> Engine:
    return Engine("x86_64", bridge, frozenset({IMAGE}))


def no_check() -> None:
    """Nobody asks for an end."""


def test_functions_find_store_keys_and_worker_at_the_gateway(scene: Scene) -> None:
    with Containers(engine(), scene.artifacts)(scene.backend()) as served:
        seen = scene.variables()
        assert (served.port, served.log) == (3001, Path("start-api.log"))
    assert seen["AWS_ENDPOINT_URL_DYNAMODB"] == seen["AWS_ENDPOINT_URL_S3"] == "http://172.17.0.1:13011"
    assert seen["COGNITO_JWKS_URL"] == "http://172.17.0.1:13011/us-east-1_Local/.well-known/jwks.json"
    assert (seen["AWS_ENDPOINT_URL_LAMBDA"], seen["WORKER_FUNCTION"]) == ("http://172.17.0.1:14000", "WorkerFunction")
    assert seen["DYNAMODB_REPORTS_TABLE"] == "k9-reports-dev"
    assert scene.orders["start-lambda"][1] == 4000


def test_a_desktop_engine_relays_by_itself(scene: Scene) -> None:
    with Containers(engine(bridge=None), scene.artifacts)(scene.backend()):
        seen = scene.variables()
    assert seen["AWS_ENDPOINT_URL_S3"] == "http://host.docker.internal:3011"
    assert seen["AWS_ENDPOINT_URL_LAMBDA"] == "http://host.docker.internal:4000"


def test_sam_is_told_of_the_environment_and_of_ctrl_c(scene: Scene) -> None:
    with Containers(engine(), scene.artifacts)(scene.backend()):
        order = scene.orders["start-api"][0]
    assert order.parameters["Environment"] == "dev"
    assert "http://localhost:3000" in order.parameters["AllowedOrigins"].split(",")
    assert order.check is no_check


@pytest.mark.parametrize("lost", ["start-api", "start-lambda"])
def test_it_is_whole_while_both_run(scene: Scene, lost: str) -> None:
    with Containers(engine(), scene.artifacts)(scene.backend()) as served:
        assert served.is_whole()
        scene.alive[lost] = False
        assert not served.is_whole()


@pytest.mark.parametrize(("lacking", "in_container"), [([], False), (["python3.13"], True)])
def test_it_builds_in_a_container_where_the_runtimes_python_is_not_here(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, lacking: list[str], in_container: bool
) -> None:
    asked: list[tuple[str, bool]] = []

    def built(architecture: str, *, in_container: bool) -> Artifacts:
        asked.append((architecture, in_container))
        return scene.artifacts

    monkeypatch.setattr(front, "find_engine", engine)
    monkeypatch.setattr(front, "missing_tools", lambda document: lacking)
    monkeypatch.setattr(front, "built", built)
    assert Containers.prepare() == Containers(engine(), scene.artifacts)
    assert asked == [("x86_64", in_container)]


def test_a_build_that_fails_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def built(architecture: str, *, in_container: bool) -> Artifacts:
        raise BuildError("no space left")

    monkeypatch.setattr(front, "find_engine", engine)
    monkeypatch.setattr(front, "built", built)
    monkeypatch.setattr(front, "missing_tools", lambda document: [])
    with pytest.raises(LocalStackError, match="no space left"):
        Containers.prepare()
