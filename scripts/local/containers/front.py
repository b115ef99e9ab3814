"""The front of the laptop stack that `--sam` puts before the store, in place of the gateway of this process."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from scripts.building.artifacts import Artifacts, BuildError, runtime_of
from scripts.building.build import built
from scripts.building.tools import missing_tools
from scripts.local import console
from scripts.local.containers import processes
from scripts.local.containers.engine import DESKTOP_HOST, Engine, find_engine
from scripts.local.containers.local_template import write_local_template
from scripts.local.containers.relay import relayed
from scripts.local.failure import LocalStackError
from scripts.local.ports import free_port
from scripts.local.serving import Backend, Served
from scripts.local.template import Template
from scripts.local.variables import local_variables

_WORKER = "WorkerFunction"


@dataclass(frozen=True, slots=True)
class Containers:
    """Artifacts that are built, and the engine that will run them. It is a `serving.Front`."""

    engine: Engine
    artifacts: Artifacts

    @classmethod
    def prepare(cls) -> "Containers":
        """Raises LocalStackError where there is no engine, or no build: before anything is started."""
        engine = find_engine()
        engine.ensure_image(runtime_of(Template.load()))
        console.say("Building the artifacts, unless they are as the source is ...")
        try:
            lacking = missing_tools(Template.load().document)
            return cls(engine, built(engine.architecture, in_container=bool(lacking)))
        except BuildError as exc:
            raise LocalStackError(str(exc)) from exc

    @contextlib.contextmanager
    def __call__(self, backend: Backend) -> Iterator[Served]:
        folder = backend.folder.root / "sam"
        folder.mkdir(mode=0o700, exist_ok=True)
        if processes.stop_orphans(folder):
            console.say("Containers of an earlier dev.sh were left running; they are gone.")
        tasks_port = free_port()
        with self._seen(urlsplit(backend.endpoint).port or 80) as store, self._seen(tasks_port) as tasks:
            variables = self._variables(backend, store, tasks)
            template = write_local_template(self.artifacts, self.engine.architecture, folder / "functions", variables)
            order = processes.Order(template, self._parameters(backend), folder, backend.check)
            console.say("Starting `sam local`; a function's container starts with its first request ...")
            with (
                processes.running(order, "start-lambda", tasks_port) as worker,
                processes.running(order, "start-api", backend.port) as api,
            ):
                yield Served(api.port, lambda: api.alive and worker.alive, api.log)

    @contextlib.contextmanager
    def _seen(self, port: int) -> Iterator[str]:
        """The address at which a container finds a loopback port of this machine; a desktop engine relays by itself."""
        bridge = self.engine.bridge
        if bridge is None:
            yield f"http://{DESKTOP_HOST}:{port}"
            return
        with relayed(bridge, port) as relay:
            yield f"http://{bridge.gateway}:{relay}"

    def _variables(self, backend: Backend, store: str, tasks: str) -> Mapping[str, str]:
        stated = local_variables(backend.template, backend.deployment, backend.pool, store)
        # Nobody in front of the containers signs people in: a token is pasted into the documentation page.
        return {**stated, "AWS_ENDPOINT_URL_LAMBDA": tasks, "WORKER_FUNCTION": _WORKER, "LOCAL_SIGN_IN": ""}

    def _parameters(self, backend: Backend) -> Mapping[str, str]:
        deployment = backend.deployment
        return {"Environment": deployment.environment, "AllowedOrigins": ",".join(deployment.allowed_origins)}
